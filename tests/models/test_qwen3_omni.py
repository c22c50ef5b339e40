"""Qwen3-Omni's Thinker loads from a full checkpoint as it is released, and its layout follows the official rules.

tests/miniature/test_processor_cases.py compares it with the official processor. Also tests avflow.models.thinker and
avflow.miniature.tiny_qwen3_omni.
"""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen3OmniMoeConfig

from avflow.errors import InputError
from avflow.models.families import load
from avflow.models.qwen3_omni import Qwen3Omni, audio_tokens

TALKER = {"talker.model.embed_tokens.weight": torch.ones(8, 8), "code2wav.decoder.0.weight": torch.ones(8)}


def released(network) -> dict:
    """A Thinker's tensors by the names of the released files: every expert has matrices of its own."""
    found = {}
    for name, tensor in network.state_dict().items():
        stem, _, last = name.partition(".experts.")
        for number, of_one in enumerate(tensor if last else ()):
            parts = zip(("gate_proj", "up_proj"), of_one.chunk(2)) if last == "gate_up_proj" else [("down_proj", of_one)]
            found |= {f"thinker.{stem}.experts.{number}.{part}.weight": matrix.clone() for part, matrix in parts}
        if not last:
            found[f"thinker.{name}"] = tensor
    return found


@pytest.fixture(scope="module")
def whole(qwen3, tmp_path_factory):
    """A full checkpoint in three shards: Thinker, talker and code2wav, with the config of all of them."""
    folder = tmp_path_factory.mktemp("whole") / "qwen3-omni"
    shutil.copytree(qwen3.folder, folder, ignore=shutil.ignore_patterns("*.safetensors*", "config.json"))
    settings = {**Qwen3OmniMoeConfig().to_dict(), "thinker_config": qwen3.model.config.to_dict()}
    (folder / "config.json").write_text(json.dumps(settings, default=str))
    tensors, weight_map = {**released(qwen3.model), **TALKER}, {}
    for k in range(3):
        file = f"model-{k + 1:05d}-of-00003.safetensors"
        some = {name: tensors[name].contiguous() for name in sorted(tensors)[k::3]}
        save_file(some, folder / file, {"format": "pt"})
        weight_map |= dict.fromkeys(some, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder


def test_the_thinker_of_a_full_checkpoint_gives_the_bare_thinkers_logits(whole, qwen3):
    loaded = load(whole, "cpu", "float32")
    assert isinstance(loaded, Qwen3Omni) and loaded.choices.width == 3
    mine, theirs = loaded.model.state_dict(), qwen3.model.state_dict()
    assert mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
    ids = torch.arange(40)[None]
    with torch.inference_mode():
        assert torch.equal(loaded.model(input_ids=ids).logits, qwen3.model(input_ids=ids).logits)
    assert not any("talker" in name or "code2wav" in name for name, _ in loaded.model.named_parameters())


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("layers.3.mlp.experts.5.up_proj", "matrices of experts are missing or of unequal shapes"),
        ("layers.3.self_attn.q_norm", r"tensor model.layers.3.self_attn.q_norm.weight is missing \(1 in all\)"),
        ("visual.merger_list.1.ln_q", r"tensor visual.merger_list.1.ln_q.bias is missing \(2 in all\)"),
    ],
)
def test_a_missing_tensor_is_one_line(whole, tmp_path, lost, said):
    folder = tmp_path / "lost"
    shutil.copytree(whole, folder)
    for file in folder.glob("*.safetensors"):
        tensors = {name: tensor for name, tensor in load_file(file).items() if lost not in name}
        save_file(tensors, file, {"format": "pt"})
    with pytest.raises(InputError, match=f"lost: {said}; download the checkpoint again"):
        Qwen3Omni(folder, "")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"config.json": {"model_type": "qwen2_5_omni"}},
            "model_type 'qwen2_5_omni'; give the folder of a Qwen3-Omni checkpoint",
        ),
        ({"preprocessor_config.json": {"image_mean": [0.5] * 3}}, "preprocessor_config.json has no image_mean or no image_std"),
        ({"preprocessor_config.json": None}, "preprocessor_config.json is missing; download the checkpoint again"),
    ],
)
def test_a_file_that_is_missing_or_of_another_model_is_one_line(qwen3, tmp_path, changed, said):
    folder = tmp_path / "other"
    shutil.copytree(qwen3.folder, folder)
    for name, content in changed.items():
        (folder / name).unlink() if content is None else (folder / name).write_text(json.dumps(content))
    with pytest.raises(InputError, match=said):
        Qwen3Omni(folder, "")


def test_sound_has_13_tokens_a_second_and_the_encoder_gives_as_many(qwen3):
    assert audio_tokens(16000) == 13 and audio_tokens(10 * 16000) == 130 and audio_tokens(16000 + 160) == 14
    for samples in (321, 1599, 15999, 16001, 33333):
        features = qwen3.encode("audio", audio=torch.ones(samples))
        assert len(features["audio"]) == audio_tokens(samples) == audio_tokens(int(features["samples"]))
    with pytest.raises(InputError, match="a sound of 320 samples at 16 kHz is too short for an audio token; give at least 321"):
        qwen3.encode("audio", audio=torch.zeros(320))


def test_pictures_come_first_at_equal_times_and_text_goes_on_after_the_last_run(qwen3):
    features = {"grid": torch.tensor([2, 2, 4]), "seconds_per_grid": torch.tensor(1.0), "samples": torch.tensor(32000)}
    made = qwen3.layout.of("video", 0, "video", {**features, "audio": None})
    assert [(b.count, b.part) for b in made.blocks[2:-2]] == [
        (2, "frame_0"),
        (13, "audio_segment_0"),
        (2, "frame_1"),
        (13, "audio_segment_1"),
    ]
    assert made.positions[:, :4].tolist() == [[0, 1, 2, 2], [0, 1, 2, 2], [0, 1, 2, 3]], "two marks, then two tokens of a grid"
    assert made.positions[0, 17:19].tolist() == [15, 15] and made.advance == 30
    tall = {"grid": torch.tensor([1, 40, 2]), "seconds_per_grid": torch.tensor(1.0), "samples": torch.tensor(8000)}
    made = qwen3.layout.of("video", 0, "video", {**tall, "audio": None})
    assert made.positions.max() == 2 + 19 and made.advance == 2 + 7 + 2, "the sound ends first, and the picture is not asked"
