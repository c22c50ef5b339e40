"""Under which conditions a number was found: frames per second and prompt. A published number is shown with its own.

The tables of resources/published have the columns fps and prompt. fps is a number, "none" (no video is involved) or "unknown";
prompt is a name of prompts.yaml or "unknown". Ours come from config.yaml, as `asked`: dataset -> {"prompt": name, "fps": {model:
number}}.
"""

UNKNOWN, NONE = "unknown", "none"


def here(asked: dict | None, dataset: str, model: str) -> dict:
    """Our own conditions for a model on a dataset: {"fps": .., "prompt": ..}, without what `asked` does not tell."""
    known = (asked or {}).get(dataset, {})
    fps = known.get("fps", {}).get(model)
    found = {"fps": None if fps is None else f"{float(fps):g}", "prompt": known.get("prompt")}
    return {name: value for name, value in found.items() if value}


def words(fps: str, prompt: str, ours: dict) -> str:
    """ "1 fps, the benchmark's prompt (here 2 fps)": the conditions of a published number, and ours where they are others.

    ours: see `here`. What is not stated may be another than ours, so ours is then named, too.
    """
    fps = fps if fps in (UNKNOWN, NONE) else f"{float(fps):g}"
    theirs = {name: value for name, value in (("fps", fps), ("prompt", prompt)) if value != NONE}
    stated = _listed({name: value for name, value in theirs.items() if value != UNKNOWN})
    silent = " and ".join(name for name, value in theirs.items() if value == UNKNOWN)
    text = ", ".join(part for part in (stated, silent and f"{silent} not stated") if part)
    others = {name: value for name, value in ours.items() if theirs.get(name, value) != value}
    if others:
        return f"{text} (here {_listed(others)})"
    return f"{text} (as here)" if theirs.keys() <= ours.keys() else text


def _listed(named: dict) -> str:
    return ", ".join(f"{value} {name}" for name, value in named.items())
