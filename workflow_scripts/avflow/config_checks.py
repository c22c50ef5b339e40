"""What a configuration must be: the schema, names that are defined, and settings that go together.

Every check raises InputError with one line: the key, its value and what would be right. Nothing heavy is loaded: Snakemake
checks the configuration at every start.
"""

import functools
from collections.abc import Iterable

from . import places
from .errors import InputError

RENAMED = {("tables", "published"): "shipped"}  # (key, value) of earlier versions -> the value's new name
ORDERS = {  # setting -> orders of a prompt's parts; those of questions/layouts.py, which planning does not load
    "av_video": ("default", "question_first"),
    "items": ("default", "original", "eq3", "reference_first", "reference_last", "question_first"),
}
WITH_FPS = ("frames", "rate", "total_pixels", "max_tokens")  # settings that mean nothing to spread frames
WITH_BUDGET = ("min_fps", "audio_per_second", "audio_seconds")  # likewise without max_tokens
LIMITS = (("min_frames", "max_frames"), ("min_pixels", "max_pixels"), ("min_fps", "fps"))  # neither may be above the other


def check_names(where: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raise InputError, which names the key `where`, if one of its names is not known."""
    for name in names:
        if name not in known:
            raise InputError(f"config.yaml: {where} names {name!r}, which is not defined; defined: {', '.join(known)}")


def check_schema(config: dict) -> None:
    """Check a configuration against schemas/config.schema.yaml and fill in defaults. Raises InputError that names one mistake."""
    from jsonschema.exceptions import best_match

    for (key, value), new in RENAMED.items():
        if config.get(key) == value:
            raise InputError(f"config.yaml: {key} is {value!r}, which is now called {new!r}; write {key}: {new}")
    if error := best_match(_validator().iter_errors(config)):
        raise InputError(f"config.yaml: {_mistake(error)}")


def _mistake(error) -> str:
    """What a jsonschema error says of a key: that it is unknown, beside those that are known, or what its value must be."""
    where = "/".join(map(str, error.absolute_path))
    if error.validator == "additionalProperties" and error.validator_value is False:
        known = error.schema.get("properties", {})
        unknown = next(key for key in error.instance if key not in known)
        return f"{where}/{unknown} is unknown; known: {', '.join(known)}".lstrip("/")
    if error.validator == "not" and error.validator_value == {"multipleOf": 2}:
        return f"{where}: {error.instance} is even; write an odd number, so that a window has a layer in its middle"
    meaning = " ".join(str(error.schema.get("description", "")).split())
    return f"{where}: {error.message}" + (f"; {meaning}" if meaning else "")


@functools.cache
def _validator():
    """The schema's validator, which also fills in defaults."""
    import jsonschema
    import yaml

    schema = yaml.safe_load((places.REPOSITORY / "schemas/config.schema.yaml").read_text(encoding="utf-8"))
    properties = jsonschema.Draft202012Validator.VALIDATORS["properties"]

    def with_defaults(validator, known, instance, within):
        for name, about in known.items():
            if "default" in about and isinstance(instance, dict):
                instance.setdefault(name, about["default"])
        yield from properties(validator, known, instance, within)

    return jsonschema.validators.extend(jsonschema.Draft202012Validator, {"properties": with_defaults})(schema)


def check_order(where: str, dataset: str, setting: str, orders: Iterable[str]) -> None:
    """Raise InputError, which names the key `where`, if prompts of a dataset's setting have no such order of their parts."""
    for order in orders:
        if order not in ORDERS[setting]:
            raise InputError(
                f"config.yaml: {where} names {order!r} for {dataset}, but setting {setting} has no such order; it has"
                f" {', '.join(ORDERS[setting])}"
            )


# A sampling takes frames at a rate (fps), at exact times or as the official utilities do, or spread (interval).


def check_sampling(name: str, how: dict) -> None:
    """Raise InputError if settings of the sampling `name` do not go together. how: it, as the schema accepts it."""
    where = f"config.yaml: sampling/{name}"
    if ("fps" in how) == ("interval" in how):
        told = f"has fps ({how['fps']}) and interval ({how['interval']}); remove one" if "fps" in how else "has neither; add one"
        raise InputError(f"{where} takes frames at a rate, fps, or spread, one per interval; it {told}")
    spread, official = "interval" in how, how.get("frames") == "official"
    misplaced = {key: "fps, not with interval" for key in WITH_FPS if spread}
    misplaced |= {"rate": "frames: official"} if not spread and not official else {}
    misplaced |= {"min_frames": "interval or frames: official"} if not spread and not official else {}
    misplaced |= {key: "max_tokens" for key in WITH_BUDGET if "max_tokens" not in how}
    for key, partner in misplaced.items():
        if key in how:
            raise InputError(f"{where}/{key} is {how[key]!r}, which has a meaning only with {partner}; remove it")
    needed = {"min_frames": "the fewest frames of a video"} if spread or official else {}
    needed |= {"audio_per_second": "tokens of a second of sound (25 for Qwen2.5-Omni)"} if "max_tokens" in how else {}
    for key, meaning in needed.items():
        if key not in how:
            cause = "max_tokens" if key == "audio_per_second" else "interval" if spread else "frames: official"
            raise InputError(f"{where} has {cause}, which needs {key}, {meaning}; add it")
    for low, high in LIMITS:
        if low in how and high in how and how[low] > how[high]:
            raise InputError(f"{where}/{low} is {how[low]}, above {high} ({how[high]}); lower {low} or raise {high}")
