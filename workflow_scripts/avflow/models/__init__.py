"""One module a model family, and what all of them share: prompt, spans, sequence, devices, GPU memory.

`load` opens a checkpoint folder. An adapter turns a question and its encoded media into a `Sequence`.
"""

from .. import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "families": ["load", "load_model", "model_arguments"],
        "gpu_memory": ["halving"],
        "prompt": ["build"],
        "qwen_omni": ["OmniLayout", "QwenOmni"],
        "salmonn_port": ["SalmonnPort", "official_name", "port_name"],
        "sequence": ["Sequence"],
        "spans": ["Spans"],
        "video_salmonn": ["POSITIONS", "SalmonnLayout"],
    },
)
