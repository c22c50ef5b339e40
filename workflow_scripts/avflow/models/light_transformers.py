"""transformers, loaded in less than its usual time. Import what it offers from here, before anything else of transformers.

A job of the miniature computes for seconds, so what it imports counts. Two things are saved:
    * packages that transformers uses only for what is not used here. It takes them if they are installed: scipy for the losses of
      object detectors, scikit-learn for speculative decoding, psutil for continuous batching, rich for httpx's command line
    * runs of the garbage collector, which find nothing while modules are loaded
Both end with the import. The packages can be imported afterwards as usual, only transformers goes on without them. A package that
is already loaded is left alone.
"""

import gc
import sys
from contextlib import contextmanager

UNUSED = ("scipy", "sklearn", "psutil", "rich")


@contextmanager
def lightly():
    """Hide the packages of `UNUSED` that are not loaded yet, and pause the garbage collector."""
    hidden, collecting = [name for name in UNUSED if name not in sys.modules], gc.isenabled()
    sys.modules.update(dict.fromkeys(hidden))  # for None the import system says that there is no such package
    gc.disable()
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
        if collecting:
            gc.enable()


with lightly():
    from transformers import AttentionInterface, AttentionMaskInterface, AutoTokenizer
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask

__all__ = ["AttentionInterface", "AttentionMaskInterface", "AutoTokenizer", "sdpa_attention_forward", "sdpa_mask"]
