"""The plan of a clip's frames: as qwen-omni-utils takes them, and within the model's context.

Also tests avflow.media.plan_table.
"""

import json
import math
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from conftest import ROOT, script

import check_frames
from avflow.errors import InputError
from avflow.media import SAMPLE_RATE, Clip, Sampling, frame_plan, plan, plan_table
from avflow.media.sampling import official_count, official_indices
from avflow.models.qwen_omni import audio_tokens

CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())["sampling"]
OMNI, SALMONN = (Sampling.of(CONFIG[name]) for name in ("omni-default", "salmonn-61k"))
UNBOUNDED = replace(OMNI, max_tokens=None)
RECORD = json.loads((ROOT / "tests/data/qwen_omni_utils.json").read_text())
QUESTION = 768  # bytes; the longest prompts of the benchmarks have about as many


def clip(seconds, rate=30.0, height=720, width=1280, sound=True, **more):
    """A clip that is `seconds` long, with sound of the same length."""
    samples = round(seconds * SAMPLE_RATE) if sound else 0
    return Clip(int(seconds * rate + 1e-6), seconds, rate, height, width, samples, QUESTION, **more)


def test_frames_rates_and_sizes_equal_the_recorded_ones_of_qwen_omni_utils():
    rates = {round(float(Fraction(rate)), 3) for rate in RECORD["frames"]}
    assert rates == {23.976, 24, 25, 29.97, 30, 50, 59.94, 60}
    for rate, cases in RECORD["frames"].items():
        assert {"1", "2", "3", "301", str(int(10.01 * Fraction(rate)))} <= set(cases), "the lengths that must be there"
        assert cases["1"] is None and any(len(case["indices"]) == 768 for case in cases.values() if case)
    assert check_frames.differences(RECORD) == (len(RECORD["sizes"]) + sum(map(len, RECORD["frames"].values())), [])


def test_other_arithmetic_is_told_apart_from_that_of_qwen_omni_utils(monkeypatch):
    def found(**changed):
        monkeypatch.setattr(check_frames, "OMNI", {**check_frames.OMNI, **changed})
        return len(check_frames.differences(RECORD)[1])

    assert found(min_frames=2) >= 8 and found(max_frames=766) >= 8 and found(fps=2.1) > 40 and found(min_pixels=90000) > 5
    with monkeypatch.context() as patch:
        patch.setattr(frame_plan.sampling, "official_indices", lambda n, k: np.arange(k) * n // k)
        assert found() > 40, "frames at the start of each interval"


def test_without_the_package_the_check_says_what_to_install(monkeypatch):
    monkeypatch.setitem(check_frames.sys.modules, "qwen_omni_utils", None)
    with pytest.raises(InputError, match="pip install --no-deps --target <folder> qwen-omni-utils==0.0.9"):
        check_frames.package()


@pytest.mark.parametrize("rate", [24000 / 1001, 30000 / 1001, 60000 / 1001, 24, 25, 30, 50, 60])
def test_ten_seconds_at_any_rate_give_twenty_frames_and_ten_grids(rate):
    frames = math.ceil(10 * rate)
    found = plan(Clip(frames, frames / rate, rate, 720, 1280), OMNI)
    assert (found.count, frame_plan.grids(found.count)) == (20, 10)
    assert found.fps == pytest.approx(2, abs=0.02) and found.fps <= 2
    exact = plan(Clip(frames, frames / rate, rate, 720, 1280), replace(OMNI, frames="exact"))
    assert exact.count == (21 if frames / rate > 10 else 20), "exact times take the last picture's part of a second, too"


def test_a_remainder_is_dropped_by_the_official_spread_and_kept_by_exact_times():
    exact = replace(OMNI, frames="exact")
    assert [plan(Clip(n, n / 30, 30, 720, 1280), OMNI).count for n in (300, 301, 329, 330, 359, 360)] == [20, 20, 20, 22, 22, 24]
    assert [plan(Clip(n, n / 30, 30, 720, 1280), exact).count for n in (300, 301, 329, 330, 359, 360)] == [20, 21, 22, 22, 24, 24]


def test_short_clips_give_two_frames_at_least():
    assert [official_count(n, 30, 2, 4, 768) for n in (1, 2, 3, 4, 5, 15, 60)] == [2, 2, 2, 4, 4, 4, 4]
    assert official_indices(1, 2).tolist() == [0, 0] and official_indices(3, 2).tolist() == [0, 2]


def test_positions_follow_the_sampled_rate_or_the_nominal_one():
    long = clip(5.9)
    assert (plan(long, OMNI).count, plan(long, OMNI).fps) == (10, pytest.approx(10 / 177 * 30))
    assert plan(long, replace(OMNI, rate="nominal")).fps == 2
    longer = clip(600, sound=False, height=360, width=640)
    assert (plan(longer, UNBOUNDED).count, plan(longer, UNBOUNDED).fps) == (768, pytest.approx(1.28))


def test_total_pixels_does_not_keep_a_long_video_within_the_context():
    """The failing case that the budget was made for."""
    found = plan(clip(384), UNBOUNDED)
    assert (found.count, found.visual, found.sound, found.tokens) == (768, 46080, 7500, 53580)


@pytest.mark.parametrize(
    "seconds, height, width, expected",
    [
        (10, 720, 1280, (1, 20, False, 7200, 250)),  # as a clip of AV-SpeakerBench
        (30, 720, 1280, (1, 60, False, 21600, 750)),  # its longest
        (384, 720, 1280, (2, 384, False, 23040, 7500)),
        (384, 720, 960, (2, 384, True, 20736, 7500)),
        (600, 720, 1280, (2, 600, True, 19800, 7500)),  # as the longest of WorldSense
        (600, 720, 960, (2, 600, True, 21000, 7500)),
        (600, 360, 640, (2, 600, True, 19800, 7500)),
    ],
)
def test_a_clip_is_sampled_in_time_and_then_in_pixels_until_its_prompt_fits(seconds, height, width, expected):
    found = plan(clip(seconds, height=height, width=width), OMNI)
    assert (found.divisor, found.count, found.shrunk, found.visual, found.sound) == expected
    assert found.fits and found.tokens + QUESTION + frame_plan.TEMPLATE <= 32768
    assert found.visual == frame_plan.grids(found.count) * found.height * found.width // 784


@pytest.mark.parametrize("rate", [24000 / 1001, 25, 30000 / 1001, 60])
@pytest.mark.parametrize("shape", [(720, 1280), (720, 960), (1280, 720), (1080, 1920), (240, 320), (100, 1900)])
def test_every_clip_up_to_ten_minutes_fits(shape, rate):
    for seconds in (0.5, 5, 29.9, 61, 90, 125, 180, 240, 300, 383.9, 450, 599.9, 600):
        found = plan(clip(seconds, rate, *shape), OMNI)
        assert found.fits and found.tokens <= 32768 - QUESTION - frame_plan.TEMPLATE, (seconds, shape)
        finer = plan(clip(seconds, rate, *shape), UNBOUNDED)
        assert finer.fits and (finer.tokens <= found.room) == (found.divisor == 1 and not found.shrunk), "no sooner than needed"
        assert 2 / found.fps <= 2 * (1 + 2 / found.count) + 1e-9, "a grid lasts a chunk of two seconds, and a remainder's share"


def test_longer_questions_and_several_clips_leave_less_room():
    assert [plan(replace(clip(218), text=bytes), OMNI).divisor for bytes in (256, 768, 1024, 4096)] == [1, 1, 2, 2]
    assert plan(replace(clip(40), media=4), OMNI).room == (32768 - 256 - QUESTION) / 4
    several = plan(replace(clip(40), media=4), OMNI)
    assert several.shrunk and several.tokens <= several.room


def test_what_does_not_fit_at_all_keeps_the_smallest_plan_and_says_so():
    found = plan(replace(clip(300), text=31000), OMNI)
    assert (found.fits, found.count, found.height, found.width, found.visual) == (False, 300, 28, 56, 300)
    assert plan(clip(300), UNBOUNDED).room == math.inf


def test_sound_beyond_the_models_limit_takes_no_tokens():
    assert OMNI.sound_tokens(300 * SAMPLE_RATE) == OMNI.sound_tokens(600 * SAMPLE_RATE) == audio_tokens(300 * SAMPLE_RATE) == 7500
    for samples in (321, 8000, 16001, 64171, 4799999):
        assert audio_tokens(samples) <= OMNI.sound_tokens(samples) <= audio_tokens(samples) + 1


def test_video_salmonn_stays_far_below_its_context_without_a_budget():
    most = max(plan(clip(seconds), SALMONN).visual for seconds in (10, 30, 76.8, 100, 384, 600))
    assert most < 30000 and plan(clip(10), SALMONN).visual == 26350


def test_settings_become_a_sampling_and_others_are_passed_over():
    assert Sampling.of(SimpleNamespace(**CONFIG["omni-default"], interval=None, threads=2)) == OMNI
    assert Sampling.of(CONFIG["omni-56px"]).frames == "exact" and OMNI.frames == "official" and OMNI.max_tokens == 32768


def table(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    plan_table.write(path, rows)
    return path


def row(name, seconds, how=OMNI, **more):
    asked = replace(clip(seconds), **more)
    return plan_table.row(name, "video", how, plan(asked, how), asked.samples)


def test_the_table_of_sampled_media_counts_the_clips_that_were_sampled_more_coarsely(tmp_path):
    sound = plan_table.row("s", "audio", OMNI, None, 301 * SAMPLE_RATE)
    first = table(tmp_path / "d/omni/0.tsv", row("a", 10), row("b", 384), sound)
    second = table(tmp_path / "d/omni/1.tsv", row("c", 600), row("d", 300, text=31000))
    other = table(tmp_path / "d/salmonn/0.tsv", row("a", 10, SALMONN))
    script("sampled_media", first, second, other, "--out", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text().splitlines() == [
        "dataset,sampling,media,videos,fewer_frames,fewer_pixels,may_not_fit,sound_cut,most_tokens",
        "d,omni,5,4,3,2,1,3,30540",
        "d,salmonn,1,1,0,0,0,0,26350",
    ]
    found = plan_table.read(first)
    assert (found[1]["frames"], found[1]["fps"], found[1]["divisor"], found[1]["unheard"]) == ("384", "1", "2", "84.0")
    assert (found[2]["kind"], found[2]["audio_tokens"], found[2]["frames"]) == ("audio", "7500", "0")
    assert plan_table.read(other)[0]["audio_tokens"] == "", "its sampling does not say"


def test_the_log_says_which_clips_were_reduced_to_fit():
    rows = [row("a", 10), row("b", 384), row("c", 600), row("d", 300, text=31000)]
    assert plan_table.notes(rows, OMNI) == [
        "3 of 4 videos have fewer frames or pixels, to fit into 32768 tokens",
        "1 of 4 videos fit only if their questions have few tokens",
    ]
    assert plan_table.notes(rows[:1], OMNI) == [] and plan_table.notes([row("b", 384, UNBOUNDED)], UNBOUNDED) == []


def test_a_table_of_another_form_names_the_remedy(tmp_path):
    (tmp_path / "0.tsv").write_text("media_id\tframes\n")
    with pytest.raises(InputError, match="0.tsv: its columns are not those of a table of sampled media; delete it and run again"):
        plan_table.read(tmp_path / "0.tsv")
