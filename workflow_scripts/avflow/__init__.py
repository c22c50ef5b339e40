"""Trace how sound and sight travel through audio-visual language models, by attention knockout.

The public API is what the call below lists. Each name is loaded when it is first used, so that importing avflow costs next to
nothing, and importing one module of it what that one needs.
"""

import importlib
import sys


def attach(package: str, names: dict[str, list[str]], rooms: tuple[str, ...] = ()):
    """`__getattr__`, `__dir__` and `__all__` of a package. names: module -> what it offers; rooms: packages inside, by name.

    `storage.provenance` reads the mapping from the source text, so it must be written out.
    """
    home = {name: module for module, offered in names.items() for name in offered}

    def load(name: str):
        if name in home:
            value = getattr(importlib.import_module(f"{package}.{home[name]}"), name)
        elif name in rooms:
            value = importlib.import_module(f"{package}.{name}")
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        setattr(sys.modules[package], name, value)
        return value

    offered = sorted([*home, *rooms])
    return load, lambda: offered, offered


__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "models": ["load"],
        "questions": ["MediaItem", "Option", "Question", "read_questions"],
        "tracing": ["Knockout", "Route", "Window", "naive", "sweep"],
    },
    rooms=("media",),
)
