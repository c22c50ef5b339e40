"""Checkpoints of the real shapes with random bf16 weights, in the official layouts, for benchmarks/full_size.py."""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow_scripts"))
from avflow.miniature import tiny, tiny_omni, tiny_qwen3_omni, tiny_salmonn  # noqa: E402

SHARD_BYTES = 5 * 10**9
DECODERS = {  # hidden, layers, heads, key-value heads, intermediate, vocabulary (from the checkpoints' config.json)
    "3b": (2048, 36, 16, 2, 11008, 151936),
    "7b": (3584, 28, 28, 4, 18944, 152064),
}
VISION = dict(depth=32, hidden_size=1280, intermediate_size=3420, num_heads=16, fullatt_block_indexes=[7, 15, 23, 31])
WHISPER = dict(d_model=1280, encoder_layers=32, encoder_attention_heads=20, encoder_ffn_dim=5120)


def omni_layout(size: str):
    """Qwen2.5-Omni's official config as a dict, its thinker's tensors (checkpoint name -> shape), and the tokenizer."""
    from transformers import Qwen2_5OmniConfig, Qwen2_5OmniThinkerConfig, Qwen2_5OmniThinkerForConditionalGeneration

    made = tiny_omni.tokenizer()
    settings = tiny_omni.config(made).to_dict()
    settings["text_config"]["max_position_embeddings"] = 32768
    if size in DECODERS:
        hidden, layers, heads, kv_heads, intermediate, vocabulary = DECODERS[size]
        settings["text_config"] |= dict(
            hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=kv_heads,
            intermediate_size=intermediate, vocab_size=vocabulary, layer_types=None,
            rope_parameters=dict(rope_type="default", rope_theta=1e6, mrope_section=[16, 24, 24]),
        )  # fmt: skip
        settings["audio_config"] |= dict(WHISPER, n_window=100, output_dim=hidden)
        settings["vision_config"] |= dict(VISION, out_hidden_size=hidden)
        settings["tie_word_embeddings"] = False
    thinker = Qwen2_5OmniThinkerConfig(**settings)
    with torch.device("meta"):
        model = Qwen2_5OmniThinkerForConditionalGeneration._from_config(thinker)
    shapes = {f"thinker.{name}": tensor.shape for name, tensor in model.state_dict().items()}
    return Qwen2_5OmniConfig(thinker_config=thinker.to_dict()).to_dict(), shapes, made


def salmonn_layout(size: str):
    """The same for video-SALMONN 2+."""
    from avflow.models import SalmonnPort, official_name

    made = tiny_salmonn.tokenizer()
    settings = tiny_salmonn.config(made) | dict(max_position_embeddings=128000)
    if size in DECODERS:
        hidden, layers, heads, kv_heads, intermediate, vocabulary = DECODERS[size]
        settings |= dict(
            hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=kv_heads,
            intermediate_size=intermediate, vocab_size=vocabulary, rope_theta=1e6,
            rope_scaling=dict(type="mrope", mrope_section=[16, 24, 24]), tie_word_embeddings=size == "3b",
        )  # fmt: skip
        settings["vision_config"] |= dict(VISION, out_hidden_size=hidden)
        settings["audio_config"] |= dict(WHISPER, max_source_positions=1500)
        settings["audio_config"]["qformer_config"] |= dict(
            hidden_size=3072, num_attention_heads=12, intermediate_size=12288, encoder_width=1280
        )
    with torch.device("meta"):
        port = SalmonnPort(settings)
    shapes = {official_name(name): tensor.shape for name, tensor in port.state_dict().items()}
    if settings["tie_word_embeddings"]:
        shapes.pop("lm_head.weight")
    return settings, shapes, made


def qwen3_layout(size: str):
    """The same for Qwen3-Omni. In its checkpoint each expert has three matrices of its own."""
    from transformers import Qwen3OmniMoeThinkerConfig, Qwen3OmniMoeThinkerForConditionalGeneration

    made = tiny.tokenizer(tiny_qwen3_omni.SPECIAL_TOKENS, tiny_qwen3_omni.CHAT_TEMPLATE)
    settings = tiny_qwen3_omni.config(made).to_dict()
    settings["text_config"]["max_position_embeddings"] = 65536
    if size != "tiny":
        settings["text_config"] |= dict(
            hidden_size=2048, num_hidden_layers=48, num_attention_heads=32, num_key_value_heads=4, head_dim=128,
            moe_intermediate_size=768, num_experts=128, num_experts_per_tok=8, vocab_size=152064,
            rope_parameters=dict(rope_type="default", rope_theta=1e6, mrope_section=[24, 20, 20], interleaved=True),
            layer_types=None,
        )  # fmt: skip
        settings["audio_config"] |= dict(WHISPER, n_window=50, n_window_infer=800, downsample_hidden_size=480, output_dim=2048)
        settings["vision_config"] |= dict(
            depth=27, hidden_size=1152, intermediate_size=4304, num_heads=16, out_hidden_size=2048, num_position_embeddings=2304,
            deepstack_visual_indexes=[8, 16, 24],
        )  # fmt: skip
    thinker = Qwen3OmniMoeThinkerConfig(**settings)
    with torch.device("meta"):
        model = Qwen3OmniMoeThinkerForConditionalGeneration._from_config(thinker)
    shapes = {}
    for name, tensor in model.state_dict().items():
        layer, experts, matrix = f"thinker.{name}".partition(".experts.")
        if not experts:
            shapes[layer] = tensor.shape
        for expert in range(len(tensor) if experts else 0):
            for part in ("gate_proj", "up_proj") if matrix == "gate_up_proj" else ("down_proj",):
                rows, columns = tensor.shape[1:]
                rows = rows // 2 if matrix == "gate_up_proj" else rows
                shapes[f"{layer}.experts.{expert}.{part}.weight"] = torch.Size((rows, columns))
    return {"model_type": "qwen3_omni_moe", "thinker_config": thinker.to_dict()}, shapes, made


LAYOUTS = {"qwen_omni": omni_layout, "qwen3_omni": qwen3_layout, "video_salmonn": salmonn_layout}


def write_checkpoint(folder: Path, family: str, size: str, device) -> dict:
    """Write a checkpoint folder in the official layout: config.json, tokenizer, shards of random bf16 weights and their index."""
    settings, shapes, tokenizer = LAYOUTS[family](size)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(settings, default=str))
    tokenizer.save_pretrained(folder)
    if family == "qwen3_omni":  # the others' colours are constants of the adapter
        (folder / "preprocessor_config.json").write_text(json.dumps(tiny_qwen3_omni.PREPROCESSOR))
    g = torch.Generator(device).manual_seed(0)
    shard, size_now, number, weight_map = {}, 0, 1, {}

    def flush():
        save_file(shard, folder / f"model-{number:05d}.safetensors", {"format": "pt"})
        weight_map.update(dict.fromkeys(shard, f"model-{number:05d}.safetensors"))

    for name, shape in shapes.items():
        tensor = torch.empty(shape, dtype=torch.bfloat16, device=device)
        if len(shape) == 1:
            tensor.fill_(1.0 if name.endswith("weight") else 0.0)
        else:
            tensor.normal_(0, shape[1:].numel() ** -0.5, generator=g)
        if shard and size_now + 2 * tensor.numel() > SHARD_BYTES:
            flush()
            shard, size_now, number = {}, 0, number + 1
        shard[name] = tensor.cpu()
        size_now += 2 * tensor.numel()
    flush()
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    files = [{"path": path.name, "size": path.stat().st_size} for path in sorted(folder.iterdir())]
    (folder / "manifest.json").write_text(json.dumps({"files": files}))  # as after a download, so that shards are not hashed
    return {"parameters": sum(s.numel() for s in shapes.values()), "tensors": len(shapes), "shards": number}
