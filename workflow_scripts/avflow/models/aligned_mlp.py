"""Widths that a GPU's matrix kernels can use, for the vision towers.

Qwen2.5-VL's vision tower has MLPs of width 3,420. That is no multiple of 8, and so its rows do not begin at multiples of 16 bytes
in 16-bit numbers. cuBLAS then falls back to old, slow kernels, which took nearly half of an encoder's time on an H200. `align`
widens such layers by units that are always zero, which changes no output.
"""

import torch
from torch import nn

MULTIPLE = 64


def align(tower: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Widen every gated MLP of a tower to a multiple of 64, if the tower runs in 16 bits on a GPU."""
    if device.type == "cuda" and dtype in (torch.bfloat16, torch.float16):
        widen(tower)


def widen(tower: nn.Module, multiple: int = MULTIPLE) -> None:
    """Widen every gated MLP (`gate_proj`, `up_proj`, `down_proj`) to a multiple of units. The new ones give act(0) * 0 = 0."""
    for mlp in tower.modules():
        if not all(hasattr(mlp, name) for name in ("gate_proj", "up_proj", "down_proj")):
            continue
        more = -mlp.gate_proj.out_features % multiple
        if more:
            for into in (mlp.gate_proj, mlp.up_proj):
                into.weight = _padded(into.weight, (0, 0, 0, more))
                into.bias = None if into.bias is None else _padded(into.bias, (0, more))
                into.out_features += more
            mlp.down_proj.weight = _padded(mlp.down_proj.weight, (0, more))
            mlp.down_proj.in_features += more


def _padded(weights: nn.Parameter, by: tuple) -> nn.Parameter:
    return nn.Parameter(nn.functional.pad(weights.detach(), by), requires_grad=weights.requires_grad)
