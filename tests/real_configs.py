"""Checkpoints with the fields of the real config.json files. Widths and the sound encoder's depth are cut down.

Depths of the decoder and the vision encoder, ids, positions and the size of a head are real. Values are those quoted in public,
and those that the official code of video-SALMONN 2+ writes. Omni's other field names are those that transformers reads.
"""

import copy
import json
import shutil

import torch
from conftest import ROOT
from safetensors.torch import save_file
from transformers import Qwen2_5OmniThinkerConfig, Qwen2_5OmniThinkerForConditionalGeneration

from avflow.miniature import qwen_vocabulary, tokenizer_cases
from avflow.models.salmonn_port import SalmonnPort

FOLDER = ROOT / "tests/data/configs"
FAMILIES = {
    "qwen2.5-omni-3b": "qwen_omni",
    "qwen2.5-omni-7b": "qwen_omni",
    "video-salmonn2-plus-3b": "video_salmonn",
    "video-salmonn2-plus-7b": "video_salmonn",
}
WIDTH = 256
DECODER = dict(hidden_size=WIDTH, num_attention_heads=2, num_key_value_heads=1, intermediate_size=96)  # heads stay 128 wide
VISION = dict(hidden_size=80, num_heads=1, intermediate_size=48, out_hidden_size=WIDTH)
AUDIO = dict(d_model=64, encoder_attention_heads=1, encoder_ffn_dim=48, encoder_layers=1)
QFORMER = dict(hidden_size=48, num_attention_heads=2, intermediate_size=48, encoder_width=64, out_hidden_size=WIDTH)
ROPE = dict(rope_type="default", rope_theta=1e6, mrope_section=[16, 24, 24])  # as transformers writes it now


def real(name) -> dict:
    """The config.json of a model."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def decoder_of(config: dict) -> dict:
    """The part of a config.json that holds the decoder's fields."""
    return config["thinker_config"]["text_config"] if "thinker_config" in config else config


def cut_down(name) -> dict:
    """The config.json of a model with small widths and every other field as it is."""
    config = real(name)
    within = config.get("thinker_config", config)
    decoder_of(config).update(DECODER)
    within["vision_config"].update(VISION)
    within["audio_config"].update(AUDIO)
    if FAMILIES[name] == "qwen_omni":
        within["vision_config"]["embed_dim"] = VISION["hidden_size"]
        within["audio_config"]["output_dim"] = WIDTH
    else:
        within["audio_config"]["qformer_config"].update(QFORMER)
    return config


def network(name):
    """The cut-down network with random weights and 64 embeddings, built with today's spelling of the config."""
    config = cut_down(name)
    text = decoder_of(config)
    for key in ("rope_scaling", "rope_theta", "torch_dtype"):
        text.pop(key)
    text.update(rope_parameters=ROPE, vocab_size=64)
    torch.manual_seed(0)
    if FAMILIES[name] == "qwen_omni":
        settings = Qwen2_5OmniThinkerConfig(**config["thinker_config"], tie_word_embeddings=False)
        made = Qwen2_5OmniThinkerForConditionalGeneration._from_config(settings, attn_implementation="sdpa")
    else:
        made = SalmonnPort(config)
    for key, parameter in made.named_parameters():
        if parameter.ndim > 1 and "embed" not in key:
            parameter.data.mul_(3)  # otherwise attention is nearly uniform and hides wrong positions
        parameter.data = parameter.data.bfloat16().float()  # as stored; buffers stay exact
    return made.eval().requires_grad_(False)


def tensors_of(name, made) -> dict:
    """All tensors in bf16 under their official names, with embeddings and head for the real vocabulary.

    Rows are random for tokens of the excerpt of the vocabulary, and zero for all others.
    """
    if FAMILIES[name] == "qwen_omni":
        state = {f"thinker.{key}": tensor for key, tensor in made.state_dict().items()}
    else:
        state = made.official_state(torch.bfloat16)
    document = tokenizer_cases.read_record(ROOT / "tests/data/qwen_tokenizer.json")["tokenizer"]
    ids = torch.tensor([*document["model"]["vocab"].values(), *(range(151643, 151666))])
    drawn = torch.Generator().manual_seed(1)
    for key in [key for key in state if key.endswith(("embed_tokens.weight", "lm_head.weight"))]:
        state[key] = torch.zeros(decoder_of(real(name))["vocab_size"], WIDTH, dtype=torch.bfloat16)
        state[key][ids] = 0.5 * torch.randn(len(ids), WIDTH, generator=drawn).bfloat16()
    return {key: tensor.to(torch.bfloat16).contiguous() for key, tensor in state.items()}


def write(folder, name, made) -> dict:
    """A checkpoint folder with the cut-down config, the weights and the excerpt of the real tokenizer; returns the weights."""
    folder.mkdir(parents=True)
    document = tokenizer_cases.read_record(ROOT / "tests/data/qwen_tokenizer.json")["tokenizer"]
    qwen_vocabulary.tokenizer_of(document, FAMILIES[name], folder)
    (folder / "config.json").write_text(json.dumps(cut_down(name)), encoding="utf-8")
    tensors = tensors_of(name, made)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return tensors


def spelled(folder, target, change):
    """The same checkpoint with another config.json; the weights are a link. change(config, its decoder's fields)."""
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("*.safetensors"))
    (target / "model.safetensors").symlink_to(folder / "model.safetensors")
    config = copy.deepcopy(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    change(config, decoder_of(config))
    (target / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return target
