"""The Omni families' inputs equal a recording of the official processor and get_rope_index (check_processor.py)."""

import json
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import ROOT, OnDemand
from safetensors.torch import load_file
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

import check_processor
import extract_features
from avflow.errors import InputError
from avflow.media import decoding, encoder_inputs, files, sampling
from avflow.media.frame_plan import Sampling
from avflow.miniature import processor_cases
from avflow.models import qwen3_omni
from avflow.models.qwen_omni import LONGEST_SOUND, SHORTEST_SOUND
from avflow.storage.shard_writer import ShardWriter
from avflow.tracing.decoder import causal_mask, masked_run

RECORDS = ROOT / "tests/data"  # <family>_processor.npz
TOLERANCE = {"ids": 0, "positions": 0, "pixels": 1e-5, "mel": 1e-4}  # the fft's last digits vary from processor to processor


@pytest.fixture(scope="module")
def record():
    return processor_cases.read_record(RECORDS / "qwen_omni_processor.npz")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    return processor_cases.random_adapter(tmp_path_factory.mktemp("random"))


@pytest.fixture(scope="module")
def adapters(adapter, qwen3):
    return {"qwen_omni": adapter, "qwen3_omni": qwen3}


@pytest.fixture(scope="module")
def made(adapter):
    """case -> (Sequence, inputs), made once."""
    return OnDemand(processor_cases.CASES, lambda case: processor_cases.ours(adapter, case))


@pytest.mark.parametrize("family", processor_cases.FAMILIES)
def test_the_record_is_small_and_holds_every_case(family):
    path = RECORDS / f"{family}_processor.npz"
    assert list(processor_cases.read_record(path)) == list(processor_cases.FAMILIES[family].cases)
    assert path.stat().st_size < 300e3


@pytest.mark.parametrize("case", processor_cases.CASES)
def test_inputs_equal_the_recorded_official_ones(case, made, record):
    found = processor_cases.differences(processor_cases.as_recorded(made[case][1]), record[case])
    assert {name: value for name, value in found.items() if value > TOLERANCE[name]} == {}


@pytest.mark.parametrize("case", processor_cases.EVERY)
def test_qwen3_omnis_inputs_equal_the_recorded_official_ones(case, qwen3):
    recorded = processor_cases.read_record(RECORDS / "qwen3_omni_processor.npz")[case]
    found = processor_cases.differences(processor_cases.as_recorded(processor_cases.ours(qwen3, case)[1]), recorded)
    assert {name: value for name, value in found.items() if value > TOLERANCE[name]} == {}


def test_other_times_orders_and_sounds_of_qwen3_omni_are_told_apart(qwen3, monkeypatch):
    case = "times that are no whole numbers"
    recorded = processor_cases.read_record(RECORDS / "qwen3_omni_processor.npz")[case]
    assert recorded["positions"].dtype == np.float32, "they are kept as they are"
    differences = lambda: processor_cases.differences(processor_cases.as_recorded(processor_cases.ours(qwen3, case)[1]), recorded)
    with monkeypatch.context() as patch:
        patch.setattr(qwen3.layout, "per_second", 12)
        assert differences()["positions"] >= 0.1
    with monkeypatch.context() as patch:
        patch.setattr(qwen3, "pixels", ([0.48, 0.46, 0.41], [0.5] * 3))
        assert differences()["pixels"] > 0.01, "other colours show"
    case = "an odd number of frames"  # whose last window reaches beyond the sound
    before = processor_cases.ours(qwen3, case)[1]["mel"]
    with monkeypatch.context() as patch:
        patch.setattr(qwen3_omni, "log_mel", lambda sound, within: encoder_inputs.log_mel(sound)[:, : len(sound) // 160])
        assert (processor_cases.ours(qwen3, case)[1]["mel"] - before).abs().max() > 5e-3, "zeros behind the sound show"


@pytest.mark.parametrize("case", ["picture refers to sounds", "sound refers to pictures", "silent clips refer to a sound"])
@pytest.mark.parametrize("family", processor_cases.FAMILIES)
def test_media_encoded_one_by_one_give_the_logits_of_one_official_forward(case, family, adapters):
    adapter = adapters[family]
    with processor_cases.listening(adapter.model) as given:
        sequence, _ = processor_cases.ours(adapter, case)
    kinds = [m.kind for m in sequence.question.media]
    longest = max(mel.shape[1] for mel in given.mel)
    batch = {"input_features": torch.stack([F.pad(mel, (0, longest - mel.shape[1])) for mel in given.mel])}
    batch["feature_attention_mask"] = torch.stack([(torch.arange(longest) < mel.shape[1]).long() for mel in given.mel])
    name = "pixel_values_videos" if "video" in kinds else "pixel_values"
    batch |= {name: torch.cat(given.pixels), f"{'video' if 'video' in kinds else 'image'}_grid_thw": torch.stack(given.grids)}
    with torch.inference_mode(), processor_cases.one_by_one(adapter.model):
        seconds = torch.ones(kinds.count("video"))
        mask = torch.ones_like(sequence.ids)[None]
        official = adapter.model(sequence.ids[None], attention_mask=mask, video_second_per_grid=seconds, **batch).logits[0, -1]
    mask = causal_mask(len(sequence))[None]
    ours = masked_run(adapter, sequence, lambda _: mask)[0]
    assert (ours - official).abs().max() < 1e-4 * official.abs().max()


def test_other_frames_sounds_and_layouts_are_told_apart(adapter, record, monkeypatch):
    case = "sound is longer"
    differences = lambda: processor_cases.differences(
        processor_cases.as_recorded(processor_cases.ours(adapter, case)[1]), record[case]
    )
    with monkeypatch.context() as patch:
        patch.setattr(encoder_inputs, "resize_video", encoder_inputs.resize)
        assert differences()["pixels"] > 0.01, "whole-number resizing shows"
    with monkeypatch.context() as patch:
        patch.setattr(adapter.layout, "per_second", 24)
        assert differences()["positions"] >= 1
    with monkeypatch.context() as patch:
        patch.setattr(adapter.layout, "chunk", 25)
        assert differences()["ids"] > 0
    with monkeypatch.context() as patch:
        patch.setitem(processor_cases.EVERY, case, processor_cases._video(6, 150007 - 160))
        assert differences()["mel"] >= 128, "a frame less"


def test_a_sound_is_cut_off_after_300_seconds_and_not_below_a_token(adapter):
    long = torch.zeros(LONGEST_SOUND + 5000)
    long[::97] = 0.1
    cut = adapter.encode("audio", audio=long)
    assert int(cut["samples"]) == LONGEST_SOUND and len(cut["audio"]) == 7500
    assert torch.equal(cut["audio"], adapter.encode("audio", audio=long[:LONGEST_SOUND])["audio"])
    assert len(adapter.encode("audio", audio=long[:SHORTEST_SOUND])["audio"]) == 1
    with pytest.raises(InputError, match="a sound of 320 samples at 16 kHz is too short for an audio token; give at least 321"):
        adapter.encode("audio", audio=long[: SHORTEST_SOUND - 1])


def test_the_log_names_sounds_that_are_cut_off_and_the_error_those_that_are_too_short(tmp_path, monkeypatch, capsys, adapter):
    def extract(**sounds):
        with ShardWriter(tmp_path / "frames", 3000, kinds(sounds)) as shard:
            for name, n in sounds.items():
                shard.add(f"{name}/audio", torch.zeros(n))
        monkeypatch.setattr(extract_features, "load_model", lambda _: adapter)
        arguments = ["--family", "qwen_omni", "--checkpoint", "c", "--frames", tmp_path / "frames", "--out", tmp_path / "out"]
        monkeypatch.setattr(sys, "argv", ["extract_features.py", *map(str, arguments)])
        extract_features.main()
        return load_file(tmp_path / "out")

    kinds = lambda sounds: {"kinds": json.dumps(dict.fromkeys(sounds, "audio"))}
    made = extract(long=LONGEST_SOUND + 1, exact=LONGEST_SOUND)
    assert int(made["long/samples"]) == int(made["exact/samples"]) == LONGEST_SOUND
    said = capsys.readouterr().err
    assert "long: sound cut off at 300 s" in said and "exact" not in said
    with pytest.raises(InputError, match="frames: medium short: a sound of 100 samples at 16 kHz is too short"):
        extract(short=100)


def test_a_click_at_the_very_end_sets_the_floor(made):
    """The loudest frame is one of the two after the last that is kept, so quiet bins rise, as in the official extractor."""
    quiet = 1e-4 * torch.ones(16000)
    quiet[-1] = 0.9
    mel = encoder_inputs.log_mel(quiet)
    padded = encoder_inputs.log_mel(quiet, 480000)[:, :100]
    assert torch.allclose(mel, padded, atol=1e-5)
    assert mel.min() > padded.max() - 2 + 0.1, "above the floor that the kept frames alone would set"


def test_a_candidate_clip_with_sound_is_one_group(made):
    spans = made["clips with sound refer to each other"][0].spans
    names = set(spans.names())
    assert {"candidate_1", "reference"} <= names and not names & {"video", "audio", "frame_0", "audio_segment_0"}
    assert len(spans["candidate_1"]) == 2 * 3 * 5 + 50


def test_sizes_equal_the_official_smart_resize():
    rng = np.random.default_rng(0)
    for height, width in rng.integers(8, 1500, (300, 2)).tolist():
        for limits in ((3136, 12544), (3136, 12845056), (100352, 602112)):
            assert sampling.resized_shape(height, width, 28, *limits) == smart_resize(height, width, 28, *limits)
    with pytest.raises(InputError, match="a picture of 9 x 2000 pixels is more than 200 times as long as wide; drop"):
        sampling.resized_shape(9, 2000, 28, 3136, 12544)


def test_files_are_resized_as_each_models_own_code_does(tmp_path):
    path, picture = tmp_path / "clip.mp4", tmp_path / "picture.png"
    grain = np.random.default_rng(0).integers(0, 256, (10, 112, 112, 3), dtype=np.uint8)
    files.write_clip(path, grain, 10, None, 16000)
    files.write_png(picture, grain[0])
    limits = dict(multiple=28, min_pixels=3136, max_pixels=3136)
    omni = Sampling(fps=2.0, max_frames=768, **limits)
    salmonn = Sampling(interval=0.1, min_frames=4, max_frames=4, **limits)
    prepared = lambda *given: np.asarray(decoding.decode(*given)[0]["frames"])
    resized = lambda how, frames: how(torch.from_numpy(np.ascontiguousarray(frames)), 56, 56).numpy()
    still = files.read_image(picture)
    clip, spread = files.read_frames(path, 2.0, 768)[0], files.read_spread_frames(path, 0.1, 4, 4)[0]
    assert np.array_equal(prepared(path, "video", omni), resized(encoder_inputs.resize_video, clip))
    assert np.array_equal(prepared(path, "video", salmonn), resized(encoder_inputs.resize, spread))
    assert np.array_equal(prepared(picture, "image", omni), resized(encoder_inputs.resize, still))
    assert np.array_equal(prepared(picture, "image", salmonn), resized(encoder_inputs.resize, still))
    for frames in (clip, spread):
        assert not np.array_equal(resized(encoder_inputs.resize_video, frames), resized(encoder_inputs.resize, frames)), (
            "they can be told apart"
        )


def test_without_torchvision_the_check_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(InputError, match="torchvision is not installed and the official processor needs it; pip install"):
        check_processor.official_processor(None)
