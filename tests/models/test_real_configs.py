"""Real config.json fields, cut down in width only, load through the adapters however older transformers spelled them.

Also tests avflow.models.families and avflow.models.checkpoint with the real vocabulary.
"""

import dataclasses
from types import SimpleNamespace

import pytest
import real_configs
import torch
import yaml
from conftest import ROOT
from examples import encoded
from transformers import (
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen3OmniMoeThinkerConfig,
    Qwen3OmniMoeThinkerForConditionalGeneration,
)

from avflow.miniature import tokenizer_cases
from avflow.models.families import load
from avflow.models.salmonn_port import SalmonnPort
from avflow.results import published
from avflow.tracing import costs
from avflow.tracing.decoder import causal_mask, masked_run

CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
QUESTIONS = tokenizer_cases.questions(CONFIG)
ASKED = ("worldsense, mood", "av_odyssey, sounds, default")
SHAPES = {  # layers, hidden, heads, key-value heads, intermediate, vocabulary, parameters (without the talker)
    "qwen2.5-omni-3b": (36, 2048, 16, 2, 11008, 151936, 4703464448),
    "qwen2.5-omni-7b": (28, 3584, 28, 4, 18944, 152064, 8931813888),
    "video-salmonn2-plus-3b": (36, 2048, 16, 2, 11008, 151936, 4677981184),
    "video-salmonn2-plus-7b": (28, 3584, 28, 4, 18944, 152064, 9220244992),
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_real_fields_give_networks_of_the_published_sizes(name, tmp_path):
    config = real_configs.real(name)
    text = real_configs.decoder_of(config)
    keys = ("num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads", "intermediate_size", "vocab_size")
    assert tuple(text[key] for key in keys) == SHAPES[name][:-1]
    with torch.device("meta"):
        if "thinker_config" in config:
            settings = Qwen2_5OmniThinkerConfig(**config["thinker_config"])
            made = Qwen2_5OmniThinkerForConditionalGeneration._from_config(settings)
        else:
            made = SalmonnPort(config)
    assert sum(p.numel() for p in made.parameters()) == SHAPES[name][-1]
    if name == "qwen2.5-omni-7b":
        assert len(made.state_dict()) == 1346
    row = published.read(ROOT / "resources/published/models.csv").set_index("model").loc[name]
    stated = ("layers", "hidden", "heads", "kv_heads", "intermediate", "vocabulary", "parameters")
    assert tuple(int(row[key]) for key in stated) == SHAPES[name], "estimate counts with these"


def test_qwen3_omnis_fields_give_a_network_of_the_published_size():
    """30.5 billion numbers in its decoder, as its name and its report say, of which a token uses 3.3 billion."""
    settings = Qwen3OmniMoeThinkerConfig(**real_configs.real("qwen3-omni-30b-a3b")["thinker_config"])
    with torch.device("meta"):
        made = Qwen3OmniMoeThinkerForConditionalGeneration._from_config(settings)
    layers = made.get_decoder().layers
    assert len(layers) == 48 and layers[0].mlp.experts.gate_up_proj.shape == (128, 2 * 768, 2048)
    assert layers[0].self_attn.q_proj.weight.shape == (32 * 128, 2048)
    row = published.read(ROOT / "resources/published/models.csv").set_index("model").loc["qwen3-omni-30b-a3b"]
    assert sum(p.numel() for p in made.parameters()) == int(row["parameters"])
    decoder = sum(p.numel() for p in made.get_decoder().parameters()) + made.lm_head.weight.numel()
    idle = 48 * (128 - 8) * 3 * 768 * 2048
    assert round(decoder / 1e9, 1) == 30.5 and 3.3e9 < decoder - idle < 3.4e9
    shape, stated = costs.shape_of(settings.text_config), costs.shapes_of([{**row, "model": "it"}])["it"]
    assert dataclasses.replace(shape, size=stated.size, levels=3, parameters=stated.parameters) == stated
    assert int(row["vocabulary"]) == settings.text_config.vocab_size


def mrope(config, text):
    text["rope_scaling"] = {"type": "mrope", "mrope_section": [16, 24, 24]}


def type_alone(config, text):
    text["rope_scaling"] = {"type": "default", "mrope_section": [16, 24, 24]}


def rope_type_alone(config, text):
    text["rope_scaling"] = {"rope_type": "default", "mrope_section": [16, 24, 24]}


def todays(config, text):
    """As transformers 5 writes it: rope_parameters, dtype, and tie_word_embeddings said everywhere."""
    for key in ("rope_scaling", "rope_theta"):
        text.pop(key)
    text["rope_parameters"] = real_configs.ROPE
    for part in (config, config.get("thinker_config", config), text):
        if "torch_dtype" in part:
            part["dtype"] = part.pop("torch_dtype")
    if "thinker_config" in config:
        config["thinker_config"]["tie_word_embeddings"] = text["tie_word_embeddings"] = False


SPELLINGS = {"as released": None, "mrope": mrope, "type": type_alone, "rope_type": rope_type_alone, "today's": todays}


@pytest.fixture(scope="module", params=[pytest.param(n, marks=[pytest.mark.slow] * n.endswith("7b")) for n in SHAPES])
def checkpoint(request, tmp_path_factory):
    """A model's name, its folder, the decoder and head that the folder's weights come from, and encoded media by question."""
    name = request.param
    made = real_configs.network(name)
    folder = tmp_path_factory.mktemp("real") / name
    tensors = real_configs.write(folder, name, made)
    head = next(
        tensors[key] for key in ("thinker.lm_head.weight", "lm_head.weight", "model.embed_tokens.weight") if key in tensors
    )
    decoder = made.get_decoder() if name.startswith("qwen") else made.decoder
    model = load(folder, "cpu", "float32")
    features = {asked: encoded(model, QUESTIONS[asked]) for asked in ASKED}
    yield SimpleNamespace(name=name, folder=folder, decoder=decoder, head=head.float(), features=features)
    (folder / "model.safetensors").unlink()


def gap(model, asked, checkpoint) -> float:
    """Largest difference of the last token's logits from the decoder's own forward, as a share of the largest logit."""
    question = QUESTIONS[asked]
    sequence = model.sequence(question, checkpoint.features[asked], CONFIG["spans"][question.setting])
    assert sequence.letter_ids.tolist() == [32, 33, 34, 35]
    with torch.inference_mode():
        given = dict(inputs_embeds=sequence.embeds[None], position_ids=sequence.positions[:, None])
        expected = checkpoint.decoder(**given).last_hidden_state[0, -1] @ checkpoint.head.T
        mask = causal_mask(len(sequence))[None]
        ours = masked_run(model, sequence, lambda _: mask)[0]
    return float((ours - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_checkpoint_loads_and_answers_however_its_config_is_spelled(spelling, checkpoint, tmp_path):
    name, folder = checkpoint.name, checkpoint.folder
    if change := SPELLINGS[spelling]:
        folder = real_configs.spelled(folder, tmp_path / name, change)
    model = load(folder, "cpu", "float32")
    text, layers = model.decoder.config, SHAPES[name][0]
    assert len(model.decoder.layers) == layers and set(text.layer_types) == {"full_attention"}
    assert text.rope_parameters["mrope_section"] == [16, 24, 24] and text.rope_parameters["rope_theta"] == 1e6
    assert torch.allclose(model.decoder.rotary_emb.inv_freq, 1e6 ** -(torch.arange(0, 128, 2) / 128), rtol=1e-6)
    tied = model.head.weight is model.decoder.get_input_embeddings().weight
    assert tied == (name == "video-salmonn2-plus-3b") and len(model.head.weight) == SHAPES[name][5]
    for asked in ASKED if spelling == "as released" else ASKED[:1]:
        assert gap(model, asked, checkpoint) < 1e-4


@pytest.mark.parametrize("checkpoint", ["qwen2.5-omni-3b", "video-salmonn2-plus-3b"], indirect=True)
def test_another_rotation_would_be_noticed(checkpoint, tmp_path):
    changes = {"theta": lambda _, text: text.update(rope_theta=1e4)}
    changes["sections"] = lambda _, text: text["rope_scaling"].update(mrope_section=[24, 20, 20])
    for what, change in changes.items():
        model = load(real_configs.spelled(checkpoint.folder, tmp_path / what, change), "cpu", "float32")
        assert gap(model, ASKED[0], checkpoint) > 1e-3, what


def test_the_dtype_is_the_configs_in_either_spelling(checkpoint, tmp_path):
    folder = checkpoint.folder
    for where in (folder, real_configs.spelled(folder, tmp_path / checkpoint.name, todays)):
        assert load(where, "cpu").decoder.layers[0].mlp.up_proj.weight.dtype == torch.bfloat16
