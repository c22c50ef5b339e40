"""transformers, loaded in less than its usual time. Import what it offers from here, before anything else of transformers.

A job of the miniature computes for seconds, so what it imports counts. Saved are:
    * packages that transformers uses only for what is not used here. It takes them if they are installed: scipy for the losses of
      object detectors, scikit-learn for speculative decoding, psutil for continuous batching, rich for httpx's command line
    * torch's tensors over several machines and its compiler, which the loading of sharded models and of models in 8 bits touches
    * a second reading of the 2,000 files of transformers' models, from which it lists the names that it offers
    * a list of all installed packages, from which it only looks up torch
    * runs of the garbage collector, which find nothing while modules are loaded
All end with the import, except that transformers keeps its two lists, and that the compiler stays away once more while a model is
built. The packages can be imported afterwards as usual, only transformers goes on without them. A package that is already loaded
is left alone.
"""

import gc
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Mapping
from contextlib import contextmanager
from functools import cached_property
from types import ModuleType

import torch

UNUSED = ("scipy", "sklearn", "psutil", "rich")
LISTING = "create_import_structure_from_path"  # transformers' function that lists a folder of models
COMPILER, DECORATORS = "torch._dynamo", ("allow_in_graph", "assume_constant_result", "disable")


def _compiler() -> dict[str, ModuleType]:
    """A stand-in for torch's compiler, by name: its decorators leave functions as they are. Empty if the real one is loaded."""
    if COMPILER in sys.modules:
        return {}
    stand_in = ModuleType(COMPILER)
    vars(stand_in).update(dict.fromkeys(DECORATORS, _as_it_is))
    stand_in.__path__ = [f"{folder}/_dynamo" for folder in torch.__path__]  # so that its real submodules can be imported
    return {COMPILER: stand_in}


def _as_it_is(function=None, *_, **__):
    """A decorator, with or without arguments, that changes nothing."""
    return _as_it_is if function is None else function


@contextmanager
def without_compiler():
    """Hide torch's compiler unless it is loaded. Tensors without memory, in which a model is built, would load it."""
    hidden = _compiler()
    sys.modules.update(hidden)
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextmanager
def lightly():
    """Hide what is not loaded yet of `UNUSED`, torch's compiler and its distributed part, and pause the garbage collector."""
    none = dict.fromkeys(name for name in UNUSED if name not in sys.modules)  # the import system then says that there is none
    collecting, distributed = gc.isenabled(), torch.distributed.is_available
    sys.modules.update(none)
    gc.disable()
    torch.distributed.is_available = lambda: False
    try:
        with without_compiler():
            yield
    finally:
        torch.distributed.is_available = distributed
        for name in none:
            del sys.modules[name]
        if collecting:
            gc.enable()


class Packages(Mapping):
    """Module -> the packages that hold it. Everything installed is read only for a module that has another name than its package.

    Names with an underscore may be such: flash_attn is in the package flash-attn, or in flash-attn-4.
    """

    tell = staticmethod(importlib.metadata.packages_distributions)

    @cached_property
    def every(self) -> dict[str, list[str]]:
        return self.tell()

    def __getitem__(self, module: str) -> list[str]:
        try:
            return self.every[module] if "_" in module else [importlib.metadata.metadata(module)["Name"]]
        except importlib.metadata.PackageNotFoundError:
            return self.every[module]

    def __iter__(self):
        return iter(self.every)

    def __len__(self):
        return len(self.every)


def list_once() -> None:
    """Let transformers list its models once, and installed packages only when it has to. Does nothing if it is already loaded.

    It remembers the list of a folder by its path, but names the folder of its models once itself and once by a file in it. The
    lists are made while it is loaded, so the module that makes them has to be there before: under a stand-in.
    """
    if "transformers" in sys.modules or not (found := importlib.util.find_spec("transformers")):
        return
    stand_in = ModuleType("transformers")
    stand_in.__path__ = found.submodule_search_locations
    stand_in.__version__ = importlib.metadata.version("transformers")
    sys.modules["transformers"], importlib.metadata.packages_distributions = stand_in, Packages
    try:
        from transformers.utils import import_utils
    finally:
        importlib.metadata.packages_distributions = Packages.tell
        del sys.modules["transformers"]
    if of_folder := getattr(import_utils, LISTING, None):  # other versions may have none

        def of_path(path) -> dict:
            return of_folder(os.path.dirname(path) if os.path.isfile(path) else os.fspath(path))

        setattr(import_utils, LISTING, of_path)


with lightly():
    list_once()
    from transformers import AttentionInterface, AttentionMaskInterface, AutoTokenizer
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask

__all__ = ["AttentionInterface", "AttentionMaskInterface", "AutoTokenizer", "sdpa_attention_forward", "sdpa_mask"]
