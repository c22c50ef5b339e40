"""Encoder inputs equal those of the official processors. The towers batched for training equal Hugging Face's.

Also tests avflow.miniature.tiny and avflow.miniature.tiny_omni.
"""

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from avflow.media import encoder_inputs, sampling
from avflow.models.qwen_omni import audio_tokens


@pytest.mark.parametrize("samples", [16000, 64171, 15999, 8001, 161])
def test_log_mel_equals_whispers_extractor(samples):
    extractor = WhisperFeatureExtractor(feature_size=128, chunk_length=30)
    audio = 0.1 * np.random.default_rng(samples).standard_normal(samples).astype(np.float32)
    official = extractor(audio, sampling_rate=16000, return_attention_mask=True, return_tensors="pt")
    frames = int(official["attention_mask"].sum())
    ours = encoder_inputs.log_mel(torch.from_numpy(audio))
    assert ours.shape == (128, frames) and encoder_inputs.mel_frames(samples) == frames
    assert (ours - official["input_features"][0, :, :frames]).abs().max() < 1e-5


@pytest.mark.parametrize("size", [(56, 56), (112, 112), (100, 130), (61, 200), (720, 1280), (30, 30)])
def test_pixels_equal_the_official_image_processor(size):
    picture = np.random.default_rng(size).integers(0, 256, (*size, 3), dtype=np.uint8)
    official = Qwen2VLImageProcessorPil()(images=[picture], return_tensors="pt")
    frames = torch.from_numpy(picture.transpose(2, 0, 1)[None].copy())
    shape = sampling.resized_shape(*size, 28, 56 * 56, 28 * 28 * 1280)
    patches, grid = encoder_inputs.patchify(encoder_inputs.resize(frames, *shape), 14, 2, 2)
    assert list(grid) == official["image_grid_thw"][0].tolist()
    level = 1 / 255 / min(encoder_inputs.IMAGE_STD)  # Pillow and torch round a few pixels to neighbouring levels
    difference = (patches - official["pixel_values"]).abs()
    assert difference.max() < 2.01 * level
    assert (difference > 0.5 * level).float().mean() < 0.05 and difference.mean() < 0.02 * level


def test_an_odd_number_of_frames_is_padded_with_the_last_one():
    frames = torch.randint(0, 256, (3, 3, 28, 28), dtype=torch.uint8)
    patches, grid = encoder_inputs.patchify(frames, 14, 2, 2)
    assert grid == (2, 2, 2)
    assert torch.equal(patches, encoder_inputs.patchify(torch.cat([frames, frames[-1:]]), 14, 2, 2)[0])


def test_a_second_of_sound_is_25_tokens():
    assert [audio_tokens(n) for n in (16000, 32000, 64000, 64171)] == [25, 50, 100, 100]


def test_batched_towers_equal_the_official_ones(model):
    from avflow.miniature.tiny import batched_vision
    from avflow.miniature.tiny_omni import batched_audio, projections

    torch.manual_seed(0)
    frames = torch.rand(6, 3, 56, 56)
    patches, grid = encoder_inputs.patchify(frames, 14, 2, 2)
    with torch.inference_mode():
        official = torch.cat(list(model.model.get_video_features(patches, torch.tensor([grid])).pooler_output))
        ours = batched_vision(model.model.visual, patches.unflatten(0, (3, 16)), grid[1:], projections)
        assert (ours.flatten(0, 1) - official).abs().max() < 1e-5
        mel = encoder_inputs.log_mel(torch.randn(64000) * 0.1)
        official = model.model.get_audio_features(mel[None], torch.ones(1, 400, dtype=torch.long)).last_hidden_state
        ours = batched_audio(model.model.audio_tower, mel.unflatten(1, (2, 200)).transpose(0, 1))
        assert (ours.flatten(0, 1) - official).abs().max() < 1e-5


def test_encoding_depends_on_the_medium_and_not_on_its_neighbours(model):
    torch.manual_seed(0)
    frames, audio = torch.randint(0, 256, (8, 3, 56, 56), dtype=torch.uint8), torch.randn(64000) * 0.1
    both = model.encode("video", frames=frames, audio=audio, fps=2.0)
    assert both["vision"].shape == (16, 192) and both["audio"].shape == (100, 192)
    assert both["grid"].tolist() == [4, 4, 4] and float(both["seconds_per_grid"]) == 1.0
    silent = model.encode("video", frames=frames, fps=2.0)
    assert "audio" not in silent and torch.equal(silent["vision"], both["vision"])
