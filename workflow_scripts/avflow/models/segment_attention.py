"""Attention within segments of one long sequence, in one kernel for all segments: for the encoders, on a GPU.

Vision towers attend within windows and pictures, Qwen2.5-Omni's audio tower within two seconds. With sdpa, transformers calls
one kernel for each segment, up to a hundred per layer, and launching them takes longer than computing. Only flash attention gets
the bounds of all segments at once. So torch's own variable-length kernel is registered under a name that holds "flash". `use`
sets it for one tower. The decoder keeps sdpa: a cut and its base must share a kernel.
"""

import functools

import torch
import torch.nn.functional as F
from transformers import AttentionInterface

NAME = "segments_by_flash"


def attend(module, query, key, value, attention_mask=None, scaling=None, cu_seq_lens_q=None, max_length_q=None, **kwargs):
    """Queries, keys and values (1, heads, S, d) -> ((1, S, heads, d), None), as transformers' attention functions.

    cu_seq_lens_q (segments + 1,) int32: where segments begin, and S. max_length_q: the longest segment; None reads it off the
    bounds. Segments do not see each other. Raises ValueError for a mask, which the kernel cannot apply.
    """
    if attention_mask is not None:
        raise ValueError("attention within segments takes no mask")
    q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))  # (S, heads, d)
    if max_length_q is None:
        max_length_q = int((cu_seq_lens_q[1:] - cu_seq_lens_q[:-1]).max())
    return _kernel(q, k, v, cu_seq_lens_q.to(torch.int32), max_length_q, scaling)[None], None


def _kernel(q, k, v, bounds, longest: int, scale: float) -> torch.Tensor:
    """(S, heads, d) three times -> (S, heads, d). A CPU has no such kernel, and takes the segments one by one."""
    if q.is_cuda:
        out = torch.ops.aten._flash_attention_forward(
            q, k, v, bounds, bounds, longest, longest, dropout_p=0.0, is_causal=False, return_debug_mask=False, scale=scale
        )
        return out[0]
    cut = torch.diff(bounds).tolist()
    parts = zip(*(x.transpose(0, 1).split(cut, 1) for x in (q, k, v)))
    return torch.cat([F.scaled_dot_product_attention(*part, scale=scale) for part in parts], 1).transpose(0, 1)


AttentionInterface.register(NAME, attend)


def use(tower, device: torch.device, dtype: torch.dtype) -> None:
    """Let a tower of `transformers` attend by `attend`, if the device has a kernel for it that computes the same.

    If not, the tower keeps its attention. Only a GPU with bfloat16 or float16 has the kernel.
    """
    if device.type == "cuda" and dtype in (torch.bfloat16, torch.float16) and agrees(device, dtype):
        tower.config._attn_implementation = NAME


@functools.cache
def agrees(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether one kernel for three segments gives what sdpa gives for each, within 2 % of the largest value."""
    drawn = torch.randn(3, 1, 4, 40, 80, generator=torch.Generator().manual_seed(0)).to(device, dtype)
    bounds = torch.tensor([0, 7, 8, 40], dtype=torch.int32, device=device)
    try:
        joined, _ = attend(None, *drawn, scaling=80**-0.5, cu_seq_lens_q=bounds)
    except (RuntimeError, TypeError, AttributeError):  # another build of torch, or a GPU without the kernel
        return False
    parts = zip(*(x.split([7, 1, 32], 2) for x in drawn))
    single = torch.cat([F.scaled_dot_product_attention(*part, scale=80**-0.5) for part in parts], 2).transpose(1, 2)
    return bool((joined - single).abs().max() <= 0.02 * single.abs().max())
