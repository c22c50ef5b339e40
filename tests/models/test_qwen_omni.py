"""The shipped checkpoint loads like any other, and the adapter's logits equal the official forward's."""

import json
import shutil

import pytest
import torch
from conftest import ROOT
from safetensors.torch import load_file, save_file

from avflow.errors import InputError
from avflow.media import encoder_inputs, files
from avflow.models.qwen_omni import QwenOmni
from avflow.tracing.decoder import causal_mask, clean_run, last_logits, masked_run

CHECKPOINT = ROOT / "resources/tiny-omni"


def test_the_checkpoint_is_small_and_loads_through_from_pretrained():
    from transformers import Qwen2_5OmniThinkerForConditionalGeneration, Qwen2Tokenizer

    model, info = Qwen2_5OmniThinkerForConditionalGeneration.from_pretrained(CHECKPOINT, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert sum(f.stat().st_size for f in CHECKPOINT.iterdir()) < 20e6
    tokenizer = Qwen2Tokenizer.from_pretrained(CHECKPOINT)
    assert model.config.audio_token_id == tokenizer.convert_tokens_to_ids("<|AUDIO|>")
    assert len(tokenizer) <= model.config.text_config.vocab_size


def test_logits_equal_the_official_forward_from_pixels_and_sound(model, sequences, world_files):
    """The whole path at once: official inputs, official masks and positions, against our stored features and own loop."""
    i = "mini_video__hear_0001"
    sequence = sequences[i]
    path = world_files / "mini-video" / sequence.question.media[0].path
    frames, _ = files.read_frames(path, 2, 768)
    patches, grid = encoder_inputs.patchify(encoder_inputs.resize_video(torch.from_numpy(frames), 56, 56), 14, 2, 2)
    mel = encoder_inputs.log_mel(torch.from_numpy(files.read_audio(path)))
    with torch.inference_mode():
        official = model.model(
            input_ids=sequence.ids[None],
            attention_mask=torch.ones(1, len(sequence), dtype=torch.long),
            input_features=mel[None],
            feature_attention_mask=torch.ones(1, mel.shape[1], dtype=torch.long),
            pixel_values_videos=patches,
            video_grid_thw=torch.tensor([grid]),
            use_audio_in_video=True,
            video_second_per_grid=torch.tensor([1.0]),
        ).logits[0, -1]
        mask = causal_mask(len(sequence))[None]
        ours = masked_run(model, sequence, lambda _: mask)[0]
    assert (official - ours).abs().max() < 1e-4 * official.abs().max()


def test_a_clean_run_holds_every_layers_input(model, sequences):
    sequence = sequences["mini_items__audio-to-image_0001"]
    run = clean_run(model, sequence)
    with torch.inference_mode():
        official = model.decoder(
            inputs_embeds=sequence.embeds[None],
            position_ids=sequence.positions[:, None],
            output_hidden_states=True,
            use_cache=False,
        ).hidden_states
        assert len(run.inputs) == len(model.decoder.layers) == 12
        for ours, theirs in zip(run.inputs, official):
            assert (ours - theirs[0]).abs().max() < 1e-3
        mask = causal_mask(len(sequence))[None]
        assert torch.allclose(last_logits(model, run.final[-1:]), masked_run(model, sequence, lambda _: mask), atol=1e-4)


@pytest.mark.slow
def test_the_model_answers_right_through_the_files(model, sequences):
    right = 0
    for sequence in sequences.values():
        mask = causal_mask(len(sequence))[None]
        top = int(masked_run(model, sequence, lambda _, m=mask: m)[0].argmax())
        right += model.tokenizer.decode([top]) == sequence.question.answer
    assert right >= len(sequences) - 1


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(CHECKPOINT, tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def test_a_missing_tensor_is_named(copy):
    tensors = load_file(copy / "model.safetensors")
    del tensors["model.layers.3.mlp.up_proj.weight"]
    save_file(tensors, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        InputError, match=r"checkpoint: tensor model\.layers\.3\.mlp\.up_proj\.weight is missing \(1 in all\); download"
    ):
        QwenOmni(copy, "")


def test_a_folder_without_weights_or_config_is_named(copy, tmp_path):
    (copy / "model.safetensors").unlink()
    with pytest.raises(InputError, match="checkpoint: .*download the checkpoint again"):
        QwenOmni(copy, "")
    with pytest.raises(InputError, match="nowhere: no config.json; give the folder"):
        QwenOmni(tmp_path / "nowhere", "")


def test_sliding_windows_are_refused(copy):
    config = json.loads((copy / "config.json").read_text())
    config["text_config"].update(use_sliding_window=True, sliding_window=16, max_window_layers=6)
    config["text_config"].pop("layer_types", None)
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="sliding-window layers cannot be traced"):
        QwenOmni(copy, "")


def test_other_attention_kernels_are_refused(model, sequences):
    sequence = next(iter(sequences.values()))
    model.decoder.config._attn_implementation = "eager"
    try:
        with pytest.raises(InputError, match="attention kernel 'eager'; boolean masks need"):
            clean_run(model, sequence)
    finally:
        model.decoder.config._attn_implementation = "sdpa"
