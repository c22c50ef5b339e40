"""One module per model family: load a checkpoint folder, encode media, lay out a question as a `Sequence`.

A family is chosen by name, and everything else about a model is an argument, so that a new model is a new class and an entry
in config.yaml and never an `if` on a model's name.
"""

import importlib

from .. import devices
from ..errors import InputError

FAMILIES = {"qwen_omni": "QwenOmni", "video_salmonn": "VideoSalmonn"}
OPTIONS = {"video_salmonn": ("positions",)}  # what only some families take


def model_arguments(parser) -> None:
    """Add the options that say which model to load and how."""
    parser.add_argument("--family", required=True, help=f"one of {', '.join(FAMILIES)}")
    parser.add_argument("--checkpoint", required=True, help="checkpoint folder")
    parser.add_argument("--system-prompt", default="You are a helpful assistant.")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16", "float64"])
    parser.add_argument("--positions", help="video_salmonn: official_generate (the default) or training")
    parser.add_argument("--device", default="auto", help="auto takes a GPU that no other job holds, where there is one")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves it to torch")


def load(arguments):
    """Load the model that the options name. Raises InputError for an unknown family or a bad checkpoint."""
    import torch

    if arguments.family not in FAMILIES:
        raise InputError(f"model family {arguments.family!r} is unknown; known: {', '.join(FAMILIES)}")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = arguments.device
    claimed = devices.claim() if device in ("auto", "cuda") else None
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if claimed is not None and device == "cpu":
        devices.say(f"torch sees no CUDA in GPU {claimed}; the model runs on the CPU")
    adapter = getattr(importlib.import_module(f".{arguments.family}", __package__), FAMILIES[arguments.family])
    taken = OPTIONS.get(arguments.family, ())
    options = {name: getattr(arguments, name) for names in OPTIONS.values() for name in names}
    options = {name: value for name, value in options.items() if value is not None}
    for name in options.keys() - set(taken):
        raise InputError(f"model family {arguments.family} takes no {name}; leave it out")
    return adapter(arguments.checkpoint, arguments.system_prompt, device, getattr(torch, arguments.dtype), **options)
