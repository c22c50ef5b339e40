"""Rotary embedding in fewer operations, in fp32 on a CPU.

transformers negates one half of the queries, copies both halves in turned order, and then multiplies twice and adds. Here each
half is multiplied into the result, which takes half of the time. The result differs by rounding alone.
"""

import functools
import sys

import torch

NAME = "apply_rotary_pos_emb"  # transformers' function, in the module of each decoder


def use(decoder, device: torch.device, dtype: torch.dtype) -> None:
    """Let the decoders of a module of transformers rotate by `rotate` in fp32 on a CPU, if this is where the decoder runs."""
    module = sys.modules[type(decoder).__module__]
    plain = getattr(module, NAME, None)
    if device.type == "cpu" and dtype == torch.float32 and plain and not isinstance(plain, functools.partial):
        setattr(module, NAME, functools.partial(rotate, plain))


def rotate(plain, q, k, cos, sin, unsqueeze_dim: int = 1):
    """As transformers' function `plain`, which goes on to serve other devices and dtypes."""
    if q.device.type != "cpu" or q.dtype != torch.float32:
        return plain(q, k, cos, sin, unsqueeze_dim)
    cos, sin = cos.unsqueeze(unsqueeze_dim), sin.unsqueeze(unsqueeze_dim)
    return _rotated(q, cos, sin), _rotated(k, cos, sin)


def _rotated(x, cos, sin) -> torch.Tensor:
    half, out = x.shape[-1] // 2, x * cos
    out[..., :half].addcmul_(x[..., half:], sin[..., :half], value=-1)
    out[..., half:].addcmul_(x[..., :half], sin[..., half:])
    return out
