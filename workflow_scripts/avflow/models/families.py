"""Load a model of a family. Each family is one module, which encodes media and lays out a question as a `Sequence`.

Everything else about a model is an argument. So a new model of a known family is an entry in config.yaml, a new family is a new
class, and no code asks for a model's name.
"""

import importlib
import json
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from . import cpu_memory, devices

FAMILIES = {"qwen_omni": "QwenOmni", "qwen3_omni": "Qwen3Omni", "video_salmonn": "VideoSalmonn"}
OPTIONS = {"video_salmonn": ("positions",)}  # options that only some families take
SYSTEM_PROMPT = "You are a helpful assistant."
SAMPLINGS = {  # of checkpoints that config.yaml does not name
    "qwen_omni": "omni-default",
    "qwen3_omni": "omni-32px",
    "video_salmonn": "salmonn-61k",
}
PAPERS_WINDOW = 7 / 36  # of all layers
REPOSITORY = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Choices:
    """What config.yaml says about putting one question to a model.

    sampling: how media are sampled, as there. width: layers of a window. spans: setting -> unions. routes: setting, or "free_"
    and setting -> the routes that Figures 4 and 5 and app_free draw.
    """

    sampling: dict
    width: int
    spans: dict
    routes: dict


def model_arguments(parser) -> None:
    """Add the options that say which model to load, and how."""
    parser.add_argument("--family", required=True, help=f"one of {', '.join(FAMILIES)}")
    parser.add_argument("--checkpoint", required=True, help="checkpoint folder")
    parser.add_argument("--system-prompt", default=SYSTEM_PROMPT)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16", "float64"])
    parser.add_argument("--positions", help="video_salmonn: official_generate (the default) or training")
    parser.add_argument("--max-tokens", type=int, help="most tokens of a prompt (default: as its config.json says)")
    parser.add_argument("--device", default="auto", help="auto (the default): a free GPU; on a machine without a GPU, the CPU")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 lets torch choose")


def load_model(arguments):
    """Load the model that the options of `model_arguments` name. Raises InputError for an unknown family or a bad checkpoint."""
    names = {name for some in OPTIONS.values() for name in some}
    options = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    about = (arguments.system_prompt, arguments.device, arguments.dtype)
    loaded = _build(arguments.family, arguments.checkpoint, *about, arguments.threads, options)
    loaded.max_tokens = arguments.max_tokens
    return loaded


def load(folder_or_name, device: str = "auto", dtype: str | None = None, family: str | None = None, **options):
    """Load a model from a checkpoint folder, or by its name in config.yaml with the settings given there.

    A folder that a model of config.yaml names as its checkpoint has that model's settings, too. The model's `choices` are
    `Choices`.

    device: "auto" takes a GPU that no other job holds; on a machine without a GPU, the CPU. dtype: "float32", "bfloat16", ..; by
    default that of config.yaml, or of the folder's config.json. family: one of `FAMILIES`; by default that of config.yaml, or
    the one that config.json implies. options: system_prompt, threads, sampling (a name in config.yaml), window (its layers), and
    the family's own (positions).

    Raises InputError if the name, folder or sampling is unknown, or the checkpoint is incomplete.
    """
    config = _configuration()
    folder, known = _found(folder_or_name, config)
    family = family or known.get("family") or _family_of(folder)
    dtype = dtype or known.get("dtype") or _dtype_of(folder)
    known |= options
    takes = {name: known[name] for names in OPTIONS.values() for name in names if name in known}
    sampling = known.get("sampling") or SAMPLINGS.get(family)
    if sampling is not None and sampling not in config["sampling"]:
        raise InputError(f"sampling {sampling!r} is not in config.yaml; known: {', '.join(config['sampling'])}")
    loaded = _build(family, folder, known.get("system_prompt", SYSTEM_PROMPT), device, dtype, known.get("threads", 0), takes)
    how = config["sampling"][sampling]
    loaded.max_tokens = how.get("max_tokens")
    width = known.get("window") or _odd(len(loaded.decoder.layers) * PAPERS_WINDOW)
    loaded.choices = Choices(how, width, config["spans"], _routes(config["knockout"]["cuts"]))
    return loaded


def _configuration() -> dict:
    """The repository's config.yaml."""
    import yaml

    return yaml.safe_load((REPOSITORY / "config.yaml").read_text(encoding="utf-8"))


def _found(folder_or_name, config: dict) -> tuple[Path, dict]:
    """The folder of a checkpoint and the model's settings in config.yaml: none for a folder that it does not name."""
    folder, downloads = Path(folder_or_name), config.get("pathvars", {}).get("downloads", "downloads")
    folder_of = lambda name, about: REPOSITORY / about.get("checkpoint", f"{downloads}/models/{name}")  # noqa: E731
    if (folder / "config.json").is_file():
        for name, about in config["models"].items():
            if folder_of(name, about).resolve() == folder.resolve():
                return folder, dict(about)
        return folder, {}
    name = str(folder_or_name)
    if name not in config["models"]:
        known = ", ".join(config["models"])
        raise InputError(f"{name} is neither a folder with a config.json nor a model of config.yaml; known: {known}")
    return folder_of(name, config["models"][name]), dict(config["models"][name])


def _odd(number: float) -> int:
    """The odd number that is nearest, at least 1."""
    return max(1, 2 * round((number - 1) / 2) + 1)


def _routes(cuts: dict) -> dict[str, list[str]]:
    """Kind of question -> the routes that its figure draws."""
    drawn = lambda name: cuts[name]["routes"]  # noqa: E731
    replies = ["candidates->reply", "reference->reply", "question->reply", "reply->reply"]
    items = drawn("figure_5")
    return {"av_video": drawn("figure_4"), "items": items, "free_av_video": drawn("free"), "free_items": [*items, *replies]}


def _family_of(folder: Path) -> str:
    """The family of a checkpoint folder, from its config.json. Raises InputError for an unknown model_type."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    kind = config.get("model_type")
    for begins, family in (("qwen2_5_omni", "qwen_omni"), ("qwen3_omni_moe", "qwen3_omni")):
        if str(kind).startswith(begins):
            return family
    if "audio_config" in config:
        return "video_salmonn"
    raise InputError(f"{folder}: model_type {kind!r} belongs to no known family; give family, one of {', '.join(FAMILIES)}")


def _dtype_of(folder: Path) -> str:
    """The dtype of a checkpoint's weights, from its config.json; float32 if it does not say."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    found = [of.get(key) for of in (config, config.get("thinker_config", {})) for key in ("dtype", "torch_dtype")]
    return next((name for name in found if name), "float32")


def _build(family: str, checkpoint, system_prompt: str, device: str, dtype: str, threads: int, options: dict):
    """The family's adapter, with its model on a device. Raises InputError as `load` does."""
    import torch

    if family not in FAMILIES:
        raise InputError(f"model family {family!r} is unknown; known: {', '.join(FAMILIES)}")
    for name in options.keys() - set(OPTIONS.get(family, ())):
        raise InputError(f"model family {family} takes no {name}; leave it out")
    if threads:
        torch.set_num_threads(threads)
    claimed = devices.claim() if device in ("auto", "cuda") else None
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if str(device).startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"device {device}: torch sees no GPU; use auto or cpu")
    if claimed is not None and device == "cpu":
        devices.say(f"torch sees no CUDA in GPU {claimed}; the model runs on the CPU")
    if str(device) == "cpu":
        cpu_memory.keep()
    from . import light_transformers  # before the family's own imports from transformers

    adapter = getattr(importlib.import_module(f".{family}", __package__), FAMILIES[family])
    with light_transformers.without_compiler():
        return adapter(checkpoint, system_prompt, device, getattr(torch, dtype), **options)
