"""Trace how sound and sight travel through audio-visual language models, by attention knockout.

The call of `attach` below lists the public API. A name is loaded at its first use. So `import avflow` costs almost nothing, and
importing one module loads only what that module needs.
"""

import importlib
import sys


def attach(package: str, names: dict[str, list[str]], rooms: tuple[str, ...] = ()):
    """Return `__getattr__`, `__dir__` and `__all__` for a package that loads its names at their first use.

    names: module -> the names it offers. rooms: names of packages inside this one. `storage.provenance` reads `names` from the
    source text, so write the mapping out as a literal.
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
        "figures": ["draw"],
        "models": ["load"],
        "questions": ["MediaItem", "Option", "Question", "question_about", "read_questions"],
        "tracing": ["Knockout", "Route", "Window", "ask", "naive", "sweep", "trace"],
    },
    rooms=("media",),
)
