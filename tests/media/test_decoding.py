"""Files become the frames, the rate and the sound that their plan names, on the clock of what really decodes."""

from dataclasses import replace
from fractions import Fraction

import clip_writer
import numpy as np
import pytest
import torch
from clip_recipes import AVI, CUT, FILM, MKV, NTSC, TS, WEBM
from striped_clips import Recipe, number_of

from avflow.media import Sampling, decoding, encoder_inputs, files, sampling, video

SIZE = dict(multiple=4, min_pixels=16, max_pixels=160 * 64)  # the stripes keep their size
OFFICIAL = Sampling(fps=2, frames="official", min_frames=4, max_frames=768, **SIZE)
RATES = [FILM, NTSC, Fraction(60000, 1001), 24, 25, 30, 50, 60]


def decoded(tmp_path, recipe, how=OFFICIAL):
    """(the numbers of the frames, their rate, the plan, what the clip shows)."""
    path = tmp_path / f"clip.{recipe.suffix}"
    truth = clip_writer.make(path, recipe)
    arrays, planned = decoding.decode(path, "video", how)
    return [number_of(frame) for frame in arrays["frames"]], float(arrays["fps"]), planned, truth


@pytest.mark.parametrize("kind", [(), MKV, WEBM, TS], ids=lambda kind: kind[0] if kind else "mp4")
@pytest.mark.parametrize("rate", RATES, ids=float)
def test_ten_seconds_give_twenty_frames_in_every_container(tmp_path, rate, kind):
    found, fps, _, truth = decoded(tmp_path, Recipe(*kind, fps=rate, seconds=10.01))
    pictures = len(truth.numbers)
    assert pictures == int(10.01 * rate)
    assert found == truth.numbers[torch.linspace(0, pictures - 1, 20).round().long()].tolist()
    assert fps == pytest.approx(20 / pictures * float(rate), rel=1e-5)


@pytest.mark.parametrize("pictures", [1, 2, 3, 301, 329])
def test_clips_of_any_length_give_an_even_number_of_frames(tmp_path, pictures):
    found, fps, _, _ = decoded(tmp_path, Recipe(fps=30, seconds=pictures / 30, audio=None))
    wanted = {1: [0, 0], 2: [0, 1], 3: [0, 2]}
    assert found == wanted.get(pictures) or (len(found), found[0], found[-1]) == (20, 0, pictures - 1)
    assert fps == pytest.approx(len(found) / pictures * 30)


@pytest.mark.parametrize("recipe", [Recipe(keep=CUT, b_frames=2), Recipe(*AVI, b_frames=1), Recipe(*TS, b_frames=2)], ids=str)
def test_frames_are_counted_among_the_pictures_that_are_shown_and_not_by_a_header(tmp_path, recipe):
    found, _, _, truth = decoded(tmp_path, recipe)
    assert found == truth.numbers[sampling.official_indices(len(truth.numbers), len(found))].tolist()
    assert found[0] == truth.numbers[0] and found[-1] == truth.numbers[-1] and len(found) == 2 * int(truth.seconds)


def test_a_variable_frame_rate_spreads_over_pictures_and_not_over_time(tmp_path):
    found, fps, _, truth = decoded(tmp_path, Recipe("mkv", times="varied"))
    assert found == truth.numbers[sampling.official_indices(len(truth.numbers), len(found))].tolist()
    assert len(found) == 12 and fps == pytest.approx(12 / truth.seconds, rel=0.02)
    steps = np.diff(truth.times[found])
    assert steps.max() > 1.2 * steps.min(), "times between frames differ"
    exact = decoded(tmp_path, Recipe("mkv", times="varied"), replace(OFFICIAL, frames="exact", min_frames=1))
    assert exact[0] != found and exact[1] == 2


def test_the_nominal_rate_and_a_budget_reach_the_file(tmp_path):
    nominal = decoded(tmp_path, Recipe(fps=FILM), replace(OFFICIAL, rate="nominal"))
    assert nominal[1] == 2.0 and len(nominal[0]) == 10, "143 pictures last 5.96 s"
    budget = replace(OFFICIAL, max_tokens=6000, min_fps=0.5, audio_per_second=25)
    found, fps, planned, _ = decoded(tmp_path, Recipe(), budget)
    assert (planned.divisor, planned.count, fps, planned.sound) == (1, 12, 2.0, 151) and len(found) == 12, "AAC pads its sound"
    found, fps, planned, _ = decoded(tmp_path, Recipe(), replace(budget, max_tokens=2400))
    assert (planned.divisor, planned.count, fps, planned.shrunk, planned.sound) == (2, 6, 1.0, False, 151)
    assert found == [0, 30, 60, 89, 119, 149] and planned.visual == 3 * 40 * 16
    arrays, planned = decoding.decode(tmp_path / "clip.mp4", "video", replace(budget, max_tokens=500))
    assert (planned.divisor, planned.count, planned.shrunk, planned.tokens) == (3, 4, True, 151 + 2 * 4 * 10)
    assert arrays["frames"].shape == (4, 3, 16, 40) and arrays["fps"] == pytest.approx(2 / 3)


def test_a_picture_and_a_sound_have_their_size_and_no_budget(tmp_path):
    files.write_png(tmp_path / "p.png", np.zeros((720, 1280, 3), np.uint8))
    files.write_wav(tmp_path / "s.wav", np.full(16000, 0.1, np.float32), 16000)
    how = Sampling(fps=2, max_frames=4, multiple=28, min_pixels=3136, max_pixels=602112)
    arrays, planned = decoding.decode(tmp_path / "p.png", "image", how)
    assert arrays["frames"].shape == (1, 3, 560, 1008) and (planned.visual, planned.fits) == (720, True)
    arrays, planned = decoding.decode(tmp_path / "s.wav", "audio", how)
    assert list(arrays) == ["audio"] and len(arrays["audio"]) == 16000 and planned is None


def test_a_turned_clip_is_resized_upright(tmp_path):
    path = tmp_path / "clip.mp4"
    clip_writer.make(path, Recipe(rotation=90, seconds=2))
    height, width = video.first_size(path)
    assert decoding.decode(path, "video", OFFICIAL)[0]["frames"].shape[2:] == (height, width)
    small = replace(OFFICIAL, max_pixels=16 * 40)
    frames = torch.from_numpy(video.read_chosen(path, lambda shown: (np.array([0]), None), video.as_is)[0].copy())
    resized = decoding.decode(path, "video", small)[0]["frames"]
    shape = sampling.resized_shape(height, width, 4, 16, 640)
    assert resized.shape[2:] == shape and np.array_equal(resized[:1], encoder_inputs.resize_video(frames, *shape).numpy())
