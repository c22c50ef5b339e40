"""Models: how a question becomes tokens. One module per model family, and what all families share.

`load` opens a checkpoint folder. An adapter turns a question and its encoded media into a `Sequence`, which holds the decoder's
input and the names of its tokens (`Spans`). The shared modules are prompt, replies, spans, sequence, devices and gpu_memory.
"""

from .. import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "adapter": ["Adapter"],
        "families": ["load", "load_model", "model_arguments"],
        "gpu_memory": ["halving"],
        "prompt": ["build"],
        "qwen3_omni": ["Qwen3Omni"],
        "qwen_omni": ["OmniLayout", "QwenOmni"],
        "replies": ["end_ids", "following", "given_ids", "with_reply"],
        "salmonn_port": ["SalmonnPort", "official_name", "port_name"],
        "sequence": ["Sequence"],
        "spans": ["Spans"],
        "video_salmonn": ["POSITIONS", "SalmonnLayout"],
    },
)
