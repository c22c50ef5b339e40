"""How many rows of a sweep go through a layer at once: measured on a GPU, fixed on a CPU."""

import math
from dataclasses import asdict, dataclass

import torch

CPU_ROWS = 8192  # rows per pass on a CPU; a larger pass is no faster there


@dataclass
class Plan:
    """How many rows go through a layer at once. made: the measurement behind it. halved: how often memory ran out since."""

    rows: int
    made: dict
    halved: int = 0

    def as_dict(self) -> dict:
        return asdict(self)

    def home(self, model, length: int, first: int) -> str | None:
        """Where to keep a clean run: "cpu" if it needs over 30 % of the GPU's free memory, else None (the model's device)."""
        config = model.decoder.config
        kept = 2 * length * config.num_key_value_heads * model.decoder.layers[0].self_attn.head_dim
        kept += (length - first) * config.hidden_size
        too_much = kept * config.num_hidden_layers * model.dtype.itemsize > 0.3 * self.made.get("free_bytes", math.inf)
        return "cpu" if too_much else None


def widest(config) -> int:
    """Numbers per row of a layer's largest tensor inside its MLP, or inside all experts that a row goes through."""
    chosen = getattr(config, "num_experts_per_tok", 0)
    return chosen * max(config.hidden_size, 2 * config.moe_intermediate_size) if chosen else config.intermediate_size


@torch.inference_mode()
def plan(model) -> Plan:
    """Measure the memory that one row needs in a layer, and plan for 60 % of the free memory. 30 % is for the clean run."""
    if model.device.type != "cuda":
        return Plan(CPU_ROWS, {"device": "cpu"})
    config, probe = model.decoder.config, 4096
    x = torch.zeros(1, probe, config.hidden_size, device=model.device, dtype=model.dtype)
    rotated = model.decoder.rotary_emb(x, torch.zeros(3, 1, probe, dtype=torch.int64, device=model.device))
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    model.decoder.layers[0](x, attention_mask=None, position_embeddings=tuple(rotated))
    # The margin covers copies outside the layer: gathered queries, keys and values, and the old states beside the new ones.
    bytes_per_row = 1.25 * (torch.cuda.max_memory_allocated() - before) / probe + 4 * x.element_size() * config.hidden_size
    free = torch.cuda.mem_get_info()[0]
    indexable = 2**31 // widest(config)  # tensors with more elements fall back to slow kernels
    rows = max(1, min(int(0.6 * free / bytes_per_row), indexable))
    return Plan(rows, {"bytes_per_row": int(bytes_per_row), "free_bytes": free})
