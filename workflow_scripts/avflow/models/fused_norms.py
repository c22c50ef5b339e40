"""RMS norms in fewer operations.

transformers writes an RMS norm as seven operations, and a layer of a decoder has two of them: a third of all that a layer
launches. On a GPU, launching takes longer than computing unless a prompt is long, so torch's own kernel takes their place. It
rounds once, after the weights, where transformers also rounds before them.

On a CPU, torch's kernel is as slow as the seven. There, squares that are summed as they are read make a norm twice as fast.
"""

import functools

import torch
import torch.nn.functional as F
from torch import nn


def use(model: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Let every RMS norm of a model run faster: in fp32 on a CPU, or in 16 bits on a GPU whose kernel computes the same."""
    if device.type == "cpu" and dtype == torch.float32:
        fuse(model, _by_vector_norm)
    elif device.type == "cuda" and dtype in (torch.bfloat16, torch.float16) and agrees(device, dtype):
        fuse(model)


def fuse(model: nn.Module, forward=None) -> None:
    """Make every RMS norm (by name, with `weight` and `variance_epsilon`) run by `forward`, or else in one operation."""
    for norm in model.modules():
        if type(norm).__name__.endswith("RMSNorm") and hasattr(norm, "variance_epsilon"):
            norm.forward = functools.partial(forward or _forward, norm)


def _forward(norm: nn.Module, hidden_states: torch.Tensor) -> torch.Tensor:
    return F.rms_norm(hidden_states, norm.weight.shape, norm.weight, norm.variance_epsilon)


def _by_vector_norm(norm: nn.Module, hidden_states: torch.Tensor) -> torch.Tensor:
    length = torch.linalg.vector_norm(hidden_states, dim=-1, keepdim=True)
    scale = length.square_().div_(hidden_states.shape[-1]).add_(norm.variance_epsilon).rsqrt_()
    return (hidden_states * scale).mul_(norm.weight)


@functools.cache
def agrees(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the kernel gives what a norm in fp32 gives, within 1 % of the largest value."""
    drawn, weight = torch.randn(8, 256, generator=torch.Generator().manual_seed(0)), torch.linspace(0.5, 2, 256)
    exact = weight * drawn * torch.rsqrt(drawn.pow(2).mean(-1, keepdim=True) + 1e-6)
    try:
        found = F.rms_norm(drawn.to(device, dtype), weight.shape, weight.to(device, dtype), 1e-6)
    except (RuntimeError, NotImplementedError):
        return False
    return bool((found.float().cpu() - exact).abs().max() <= 0.01 * exact.abs().max())
