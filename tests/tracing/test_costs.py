"""Costs estimated before a run: token counts, rows and seconds agree with measured ones.

Also tests avflow.tracing.study_costs.
"""

import json
import math
import shlex

import pytest
import yaml
from conftest import ROOT, script

from avflow import jobs
from avflow.models.spans import Spans
from avflow.study import Study
from avflow.tracing import costs
from avflow.tracing.rates import Rates
from avflow.tracing.study_costs import StudyCosts

SWEEPS = json.loads((ROOT / "benchmarks/knockout.json").read_text())
STAGES = json.loads((ROOT / "benchmarks/full_size.json").read_text())
SHAPES = costs.shapes_of(costs.rows_of(ROOT / "resources/published/models.csv"))
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
SAMPLING = CONFIG["sampling"]
FITTED = json.loads((ROOT / "benchmarks/stages.json").read_text())["fitted"]
RATES = Rates(SWEEPS, STAGES, SHAPES, FITTED)
COUNTED = [
    case for case in SWEEPS if "reply" not in case and not case["case"].endswith("heads")
]  # cuts in all heads, for a letter


@pytest.mark.parametrize("case", STAGES, ids=lambda case: case["model"])
def test_a_clips_and_an_items_tokens_are_those_of_the_rehearsal(case):
    family, sampling = (CONFIG["models"][case["model"]][key] for key in ("family", "sampling"))
    clip = costs.medium(family, SAMPLING[sampling], "video", 15, 1280, 720)
    beyond = family == "qwen3_omni"  # the sound's last block ends after the pictures, and is one token more only there
    assert (clip.grids * clip.per_grid, clip.audio + beyond) == tuple(case["tokens"]["av_video"][k] for k in ("video", "audio"))
    picture = costs.medium(family, SAMPLING[sampling], "image", 0, 1024, 768)
    sound = costs.medium(family, SAMPLING[sampling], "audio", 10, 0, 0)
    assert (4 * picture.tokens, sound.tokens) == (case["tokens"]["items"]["candidates"], case["tokens"]["items"]["reference"])


def test_a_long_clip_is_counted_as_it_is_sampled_to_fit():
    clip = costs.medium("qwen_omni", SAMPLING["omni-default"], "video", 384, 1280, 720)
    assert (clip.frames, clip.grids, clip.grids * clip.per_grid, clip.audio) == (384, 192, 23040, 7500)


def test_parameters_are_those_that_were_built():
    assert {case["model"]: case["parameters"] for case in STAGES} == {m: SHAPES[m].parameters for m in RATES.stages}
    assert SHAPES.keys() == RATES.stages.keys(), "every model's times are known"


def test_experts_and_deepstack_are_counted():
    shape = SHAPES["qwen3-omni-30b-a3b"]
    attention, experts, router = 2 * 2048 * 128 * (32 + 4), 8 * 3 * 2048 * 768, 2048 * 128
    assert costs.layer_flops(shape, 10, 0) == 20 * (attention + experts + router)
    assert costs.kv_bytes(shape, [100] * 48, 2) == 2 * 48 * 100 * 4 * 128 * 2
    clip = costs.medium("qwen3_omni", SAMPLING["omni-32px"], "video", 10, 1280, 720)
    other = costs.medium("qwen_omni", SAMPLING["omni-default"], "video", 10, 1280, 720)
    assert (clip.frames, clip.audio, other.audio) == (other.frames, 130, 250)
    assert clip.pixels == 640 * 1152 and clip.per_grid == 20 * 36, "one token for 32 x 32 pixels"


def test_cuts_of_sinks_cost_what_cuts_of_their_span_cost_and_a_clean_run_to_find_them():
    clip = costs.Medium(frames=8, grids=4, per_grid=10, audio=20, pixels=0)
    spans = costs.skeleton("av_video", clip, None, None, {"question": ["instruction", "question_text", "options", "tail"]})
    assert spans["video_sinks"].tolist() == [int(frame[0]) for frame in spans.group("frame")]
    plain, sinks = (
        costs.sweep(spans, 36, [{"routes": [route], "controls": {"random_same": 2}, "value_zero": True}], 7)
        for route in ("video->question", "video_sinks->question")
    )
    assert sinks[1] == 4 * 36 and plain[1] == 2 * 36, "the whole video leaves no others to draw"
    alone = costs.sweep(spans, 36, [{"routes": ["video_sinks->question"]}], 7)
    assert alone[0] == pytest.approx(1 + costs.sweep(spans, 36, [{"routes": ["video->question"]}], 7)[0]) and alone[1] == 36


def test_a_source_cut_part_by_part_costs_its_cut_for_every_part_and_one_more_window():
    clip = costs.Medium(frames=8, grids=4, per_grid=10, audio=20, pixels=0)
    spans = costs.skeleton("av_video", clip, None, None, {"question": ["instruction", "question_text", "options", "tail"]})
    budget = {"routes": ["audio->question", "video->question"], "stride": 2}
    plain, parted = (costs.sweep(spans, 36, [{**budget, **more}], 7) for more in ({}, {"parts": {"audio": 4, "video": 20}}))
    assert plain[1] == 2 * 18 and parted[1] == 24 * 19
    rows = spans.length - int(spans["question"][0])
    whole = rows / spans.length  # all layers of the rows behind one cut, in clean forwards
    assert parted[0] - 1 == pytest.approx(12 * (plain[0] - 1) + 24 * whole)


def benchmarked(case):
    """The spans of a case of benchmarks/knockout.py, and its model's number of layers."""
    labels, parts = ["system"] * 20, {}
    for block in range((case["tokens"] - 105) // 50):
        kind, part = ("audio", "audio_segment") if block % 2 else ("video", "frame")
        parts[f"{part}_{block // 2}"] = list(range(len(labels), len(labels) + 50))
        labels += [kind] * 50
    labels += ["question_text"] * 80 + ["tail"] * 4 + ["last"]
    layers = {shape.size: shape.layers for shape in SHAPES.values()}
    return Spans(labels, parts, {"question": ["question_text", "tail"]}), layers[case["model"]]


@pytest.mark.parametrize("case", COUNTED, ids=lambda case: case["case"])
def test_the_rows_that_must_be_recomputed_are_those_of_the_benchmark(case):
    spans, layers = benchmarked(case)
    ideal, count = costs.sweep(spans, layers, [{"routes": case["routes"]}], 7)
    assert count == case["interventions"] and ideal == pytest.approx(case["ideal"], rel=1e-9)


def test_heads_cost_a_cut_each_besides_the_one_in_all_heads():
    (case,) = (case for case in SWEEPS if case["case"].endswith("heads"))
    ideal, count = costs.sweep(*benchmarked(case), [{"routes": case["routes"], "heads": "each", "widths": [1]}], 7, (28, 4))
    assert count == case["interventions"] + 28 and ideal - 1 == pytest.approx((case["ideal"] - 1) * 29 / 28)


def test_what_questions_about_a_clip_share_is_about_what_the_benchmark_saved():
    for case in COUNTED:
        spans, layers = benchmarked(case)
        budget = [{"routes": case["routes"]}]
        (ideal, count), (once, alike) = (f(spans, layers, budget, 7) for f in (costs.sweep, costs.once_per_clip))
        alone = ideal - once
        assert alike == (count if "Figure 3" in case["case"] else 0) and 0 < alone < (2 if alike else ideal)
        shape = next(s for s in SHAPES.values() if s.size == case["model"])
        each = RATES.knockouts(shape, case["tokens"], ideal - once / 2, count - alike / 2)
        assert 0.6 < each / case["pair_s"] < 1.6, case["case"]
    items = costs.skeleton(
        "items", None, costs.Medium(1, 1, 10, 0, 0), costs.Medium(0, 0, 0, 20, 0), {"question": ["question_text", "options"]}
    )
    assert costs.shared_tokens(items) == 0


def test_questions_share_clips_if_there_are_more_of_them(settings):
    facts = costs.facts_of(costs.rows_of(ROOT / "resources/published/datasets.csv"))
    study = StudyCosts(settings, SHAPES, facts, RATES, 0.5)
    assert study.clips("av_speakerbench", 3212) == pytest.approx(2051)
    assert study.clips("av_speakerbench", 10) == pytest.approx(10, rel=0.01)
    assert 900 < study.clips("av_speakerbench", 1140) < 1140


def test_estimated_seconds_are_near_the_measured_ones():
    for case in COUNTED:
        shape = next(s for s in SHAPES.values() if s.size == case["model"])
        first = next(c for c in SWEEPS if (c["model"], c["tokens"]) == (case["model"], case["tokens"]))
        assert RATES.forward(shape, case["tokens"]) == pytest.approx(first["clean_ms"] / 1000, rel=0.01)
        estimated = RATES.knockouts(shape, case["tokens"], case["ideal"], case["interventions"])
        assert 0.6 < estimated / case["rows_s"] < 1.6, case["case"]
    between = RATES.forward(SHAPES["qwen2.5-omni-7b"], 12000)
    assert 0.2329 < between < 0.4964, "between the forwards of 8,105 and 16,105 tokens"


def test_a_forward_costs_two_operations_a_weight_and_token_besides_attention():
    shape = SHAPES["qwen2.5-omni-7b"]
    decoder = 28 * (2 * 3584 * 128 * (28 + 4) + 3 * 3584 * 18944)
    assert costs.flops(shape, 1) == pytest.approx(2 * decoder, rel=1e-4)
    attention = costs.flops(shape, 2000) - 2000 * costs.flops(shape, 1)
    assert attention == pytest.approx(2 * 28 * 28 * 128 * (2000**2 - 2000), rel=1e-9)


def test_copies_multiply_what_a_budget_costs():
    spans = costs.skeleton("av_video", costs.Medium(8, 4, 10, 20, 0), None, None, {"question": ["question_text", "options"]})
    base, count = costs.sweep(spans, 12, [{"routes": ["audio->question"]}], 3)
    more, copies = costs.sweep(
        spans,
        12,
        [{"routes": ["audio->question"], "controls": {"random_other": 2}, "value_zero": True, "layouts": ["a", "b"]}],
        3,
    )
    assert copies == 8 * count and more - 1 == pytest.approx(8 * (base - 1))
    assert costs.sweep(spans, 12, [{"routes": ["candidates->last"]}], 3) == (1, 0), "a route with nothing to cut"


def test_controls_cost_nothing_where_there_is_too_little_else_to_cut():
    """40 tokens of video have 60 of sound before the question and 61 of text; of the same modality nothing else stands there."""
    spans = costs.skeleton("av_video", costs.Medium(8, 4, 10, 20, 0), None, None, {"question": ["question_text", "options"]})
    assert (len(spans["video"]), len(spans["audio"]), spans.length) == (40, 20, 225)
    count = lambda route, control: costs.sweep(spans, 12, [{"routes": [route], "controls": {control: 1}}], 3)[1]  # noqa: E731
    assert count("video->question", "random_other") == 2 * 12 and count("video->question", "random_same") == 12
    assert count("question->last", "random_other") == 12, "90 tokens of text, and 60 of all else"


def test_discards_cost_the_rows_behind_the_first_token_that_leaves():
    spans = costs.skeleton("av_video", costs.Medium(8, 4, 10, 20, 0), None, None, {})
    length, video, first = spans.length, spans["video"], int(spans["video"][0])
    ideal, count = costs.discards(spans, 12, ["video"], 0, 1)
    assert count == 2 * 11 and ideal == pytest.approx(1 + 2 * 66 * (length - len(video) - first) / (12 * length))
    more, copies = costs.discards(spans, 12, ["video"], 5, 1)
    assert copies == 6 * count and more - ideal == pytest.approx(2 * 5 * 66 * (length - len(video)) / (12 * length))


def estimate(settings, targets, *more, check=True):
    options = [
        *("--settings", json.dumps(settings), "--targets", json.dumps(targets)),
        *("--models", "resources/published/models.csv", "--datasets", "resources/published/datasets.csv"),
        *("--sweeps", "benchmarks/knockout.json", "--stages", "benchmarks/full_size.json", "--pins", "resources/pins"),
        *("--fitted", "benchmarks/stages.json"),
        *("--groups", "profiles/by_shard/config.yaml"),
    ]
    return script("estimate", *options, *more, check=check)


@pytest.fixture
def settings():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    models = {m: config["models"][m] for m in ("qwen2.5-omni-3b", "video-salmonn2-plus-7b")}
    cuts = {"figure_4": {"av_speakerbench": [{"routes": ["audio->question"]}]}}
    return {
        **{"models": models, "datasets": {"av_speakerbench": config["datasets"]["av_speakerbench"]}, "cuts": cuts},
        **{"discards": {"swept": [], "tried": []}},
        **{"sampling": SAMPLING, "spans": config["spans"], "keep_frames": False, "keep_features": False, "variants": 5},
    }


def test_half_the_correct_answers_cost_half_the_knockouts(settings):
    facts = costs.facts_of(costs.rows_of(ROOT / "resources/published/datasets.csv"))
    study = lambda correct: StudyCosts(settings, SHAPES, facts, RATES, correct)
    (budget,), place = settings["cuts"]["figure_4"]["av_speakerbench"], ("qwen2.5-omni-3b", "av_speakerbench")
    starts = study(1).cuts(*place, [])[0]
    whole, half, none = (study(correct).cuts(*place, [budget])[0] for correct in (1, 0.5, 0))
    assert none == starts > 0 and whole - starts < 2 * (half - starts) < 1.2 * (whole - starts), "more of all share a clip"
    assert study(0.5).cuts(*place, [{**budget, "questions": 10}])[1] == pytest.approx(10 * 9 * 36), "ten of each of nine tasks"
    done = estimate(settings, {"fig4": {"cuts": ["figure_4"], "reliance": False}})
    line = next(line for line in done.stdout.splitlines() if line.startswith("fig4"))
    assert float(line.split()[1]) == pytest.approx(
        (study(0.5).encoded(*place) + study(0.5).answered(*place) + half) / 3600, abs=0.051
    )


def test_cuts_in_single_heads_cost_a_cut_for_each_and_those_on_request_stay_out_of_the_sum(settings):
    spans = costs.skeleton("av_video", costs.Medium(8, 4, 10, 20, 0), None, None, {"question": ["question_text", "options"]})
    count = lambda **more: costs.sweep(spans, 12, [{"routes": ["audio->question"], "widths": [1], **more}], 3, (8, 2))[1]  # noqa: E731
    assert (count(), count(heads="each"), count(heads="groups")) == (12, 12 * 9, 12 * 3)
    assert count(strongest={"shares": [0.1, 0.5], "draws": 3}) == 1 + 2 * 4
    facts, place = (
        costs.facts_of(costs.rows_of(ROOT / "resources/published/datasets.csv")),
        ("qwen2.5-omni-3b", "av_speakerbench"),
    )
    study = StudyCosts(settings, SHAPES, facts, RATES, 0.5)
    (budget,) = settings["cuts"]["figure_4"]["av_speakerbench"]
    few = study.cuts(*place, [{**budget, "shards": 5}])
    assert [16 * x for x in few] == pytest.approx(study.cuts(*place, [budget])), "5 of 80 shards"
    patched = study.cuts(*place, [{**budget, "questions": "all", "directions": 2, "shards": 80}])
    number, shape, clip = facts["av_speakerbench"].knockout_questions, SHAPES[place[0]], study.spans(*place)
    ideal, cuts = costs.sweep(clip, shape.layers, [budget], settings["models"][place[0]]["window"])
    each = RATES.knockouts(shape, clip.length, ideal, cuts) + study.encoding(*place) / facts["av_speakerbench"].questions
    whole = 2 * number * each + study.cuts(*place, [])[0], 2 * number * cuts
    assert patched == pytest.approx(whole), "both runs of a pair, and both clips"
    settings["cuts"]["heads"] = {"av_speakerbench": [{**budget, "heads": "each"}]}
    targets = {name: {"cuts": [name], "reliance": False} for name in ("figure_4", "heads")}
    lines = [estimate({**settings, "on_request": rare}, targets).stdout.splitlines() for rare in ([], ["heads"])]
    hours = [{line.split()[0]: float(line.split()[-5]) for line in some if line.endswith("28 GB")} for some in lines]
    assert hours[0]["heads"] == hours[1]["heads"] > hours[0]["figure_4"]
    assert hours[1]["all"] == hours[0]["figure_4"] and hours[0]["all"] > hours[0]["heads"], "once, without those on request"
    jobs = [next(int(line.split()[1]) for line in some if line.startswith("knockout ")) for some in lines]
    assert jobs == [2 * 160, 160]


def test_a_model_without_a_published_shape_is_named(settings):
    settings["models"]["other-7b"] = settings["models"]["qwen2.5-omni-3b"]
    done = estimate(settings, {}, check=False)
    assert done.returncode == 2
    assert done.stderr.strip() == "error: other-7b has no row in resources/published/models.csv; add one to estimate its costs"


def test_a_model_that_was_never_measured_is_named_and_its_features_are_counted(settings, tmp_path):
    settings["models"] = {"qwen3-omni-30b-a3b": CONFIG["models"]["qwen3-omni-30b-a3b"]}
    facts = costs.facts_of(costs.rows_of(ROOT / "resources/published/datasets.csv"))
    study = StudyCosts(settings, SHAPES, facts, RATES, 0.5)
    (clip,), place = study.media("qwen3-omni-30b-a3b", "av_speakerbench"), ("qwen3-omni-30b-a3b", "av_speakerbench")
    each = 2 * 2048 * (4 * clip.grids * clip.per_grid + clip.audio)
    assert study.features(*place) == pytest.approx(facts["av_speakerbench"].media * each), "pictures have three levels more"
    others = tmp_path / "full_size.json"
    others.write_text(json.dumps([case for case in STAGES if case["model"] not in settings["models"]]))
    done = estimate(settings, {"fig4": {"cuts": ["figure_4"], "reliance": False}}, "--stages", others, check=False)
    assert done.returncode == 2 and "qwen3-omni-30b-a3b; run benchmarks/full_size.py" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_facts_that_are_not_known_stay_unknown():
    facts = costs.facts_of(costs.rows_of(ROOT / "resources/published/datasets.csv"))
    assert math.isnan(facts["av_speakerbench"].gigabytes) and facts["av_odyssey"].gigabytes == 26
    assert all(row.source for row in facts.values())


def test_attention_costs_one_forward_a_question_and_shards_share_it_out(settings):
    facts = costs.facts_of(costs.rows_of(ROOT / "resources/published/datasets.csv"))
    study, place = StudyCosts(settings, SHAPES, facts, RATES, 0.5), ("qwen2.5-omni-3b", "av_speakerbench")
    starts, forward = study.starts(*place, "evaluate"), RATES.forward(SHAPES["qwen2.5-omni-3b"], study.spans(*place).length)
    looks = lambda share=1, **budget: (study.looks(*place, budget) - share * starts) / forward
    assert looks(forwards=1) == pytest.approx(3212) and looks(forwards=3, first=2) == pytest.approx(3 * 2 * 9)
    assert looks(5 / 80, forwards=2, shards=5) == pytest.approx(2 * 3212 * 5 / 80)
    again = study.looks(*place, {"forwards": 2, "shards": 5, "again": True}) - study.looks(*place, {"forwards": 2, "shards": 5})
    assert again == pytest.approx(study.encoded(*place) * 5 / 80), "their media are encoded once more"
    each, maps = RATES.attention(SHAPES["qwen2.5-omni-3b"], study.spans(*place).length)
    read = study.looks(*place, {"forwards": 1, "maps": 1}) - study.starts(*place, "attention")
    assert read == pytest.approx(3212 * each + 9 * maps) and maps > 10 * each


def test_open_choices_cost_the_knockouts_of_their_share_of_shards_and_another_encoding(settings):
    facts = costs.facts_of(costs.rows_of(ROOT / "resources/published/datasets.csv"))
    name, dataset = place = ("qwen2.5-omni-3b", "av_speakerbench")
    (budget,), wide = settings["cuts"]["figure_4"]["av_speakerbench"], {"routes": ["audio->question"], "widths": [9]}
    jobs = [{"budgets": [budget, wide], "sampling": None}, {"budgets": [budget], "sampling": "omni-1fps"}]
    settings["open_choices"] = {name: {dataset: (1 / 16, jobs)}}
    study = StudyCosts(settings, SHAPES, facts, RATES, 0.5)
    bare = lambda other=None: study.cuts(*place, [], other)[0]
    cut = lambda of, other=None: study.cuts(*place, [of], other)[0]
    assert study.encoding(*place, "omni-1fps") < 0.8 * study.encoding(*place), "half the frames, and as much sound"
    assert cut(budget, "omni-1fps") < 0.8 * cut(budget)
    whole = cut(budget) + cut(wide) - bare() + cut(budget, "omni-1fps") + study.encoded(*place, "omni-1fps")
    assert study.open_choices(*place) == pytest.approx(whole / 16)
    assert study.first_answers(*place) == pytest.approx((study.encoded(*place) + study.answered(*place)) / 16)
    more = study.cuts(*place, [{**budget, "tasks": ["bird", "transportation", "animal"]}])[1]
    assert more == pytest.approx(study.cuts(*place, [budget])[1] * 3 / 9), "three tasks outside the nine of interventions"
    settings["models"] = {name: settings["models"][name]}
    done = estimate(settings, {"app_sensitivity": {"cuts": [], "reliance": False, "open_choices": True}})
    line = next(line for line in done.stdout.splitlines() if line.startswith("app_sensitivity"))
    alone = (study.open_choices(*place) + study.first_answers(*place)) / 3600
    assert float(line.split()[1]) == pytest.approx(alone, abs=0.051)
    both = {
        "fig4": {"cuts": ["figure_4"], "reliance": False},
        "app_sensitivity": {"cuts": [], "reliance": False, "open_choices": True},
    }
    done = estimate(settings, both)
    last = next(line for line in done.stdout.splitlines() if line.startswith("all of them"))
    once = (study.encoded(*place) + study.answered(*place) + cut(budget) + study.open_choices(*place)) / 3600
    assert float(last.split()[3]) == pytest.approx(once, abs=0.051), "the answers of the first shards are among all answers"


def test_the_disk_is_counted_at_its_fullest(settings):
    facts = costs.facts_of(costs.rows_of(ROOT / "resources/published/datasets.csv"))
    study, place = StudyCosts(settings, SHAPES, facts, RATES, 0.5), ("video-salmonn2-plus-7b", "av_speakerbench")
    size = lambda line: float(line.split("  ")[-2].strip("> GB")) if "GB" in line else 0.0  # noqa: E731
    lines = lambda: (
        estimate(settings, {"fig4": {"cuts": [], "reliance": False}})
        .stdout.split("on disk")[1]
        .split("GPU jobs")[0]
        .splitlines()[1:]
    )  # noqa: E731
    (shard,) = (line for line in lines() if line.startswith("features, one shard of video-salmonn2-plus-7b"))
    assert study.largest_shard(place[0]) == pytest.approx(study.features(*place) / 80)
    assert size(shard) == pytest.approx(study.features(*place) / 80e9, abs=0.06)
    (peak,) = (line for line in lines() if line.startswith("peak"))
    assert peak.split("GB")[-1].strip() == "1.17 times the downloads", "27.8 GB of models, of the clips nothing is known"
    settings |= {"keep_frames": True, "keep_features": True}
    kept = [line.split("  ")[0] for line in lines()]
    assert "frames omni-default" in kept and "features video-salmonn2-plus-7b" in kept
    (more,) = (line for line in lines() if line.startswith("peak"))
    assert "times" in more and float(more.split("GB")[-1].split()[0]) > 20


def test_wrong_answers_are_those_that_are_not_correct(settings):
    facts = costs.facts_of(costs.rows_of(ROOT / "resources/published/datasets.csv"))
    (budget,), place = settings["cuts"]["figure_4"]["av_speakerbench"], ("qwen2.5-omni-3b", "av_speakerbench")
    rows = {
        which: StudyCosts(settings, SHAPES, facts, RATES, 0.4).cuts(*place, [{**budget, "questions": which}])[1]
        for which in ("correct", "wrong")
    }
    assert rows["wrong"] == pytest.approx(1.5 * rows["correct"])


@pytest.mark.parametrize(
    ("names", "count"),
    [(None, 1), (["default"], 1), (["default", "reference_first"], 2), (["default", "original", "eq3", "question_first"], 3)],
)
def test_a_question_is_asked_once_in_its_own_order(names, count):
    """Its own order is called default, and either original or eq3."""
    assert costs.orders_of({"layouts": names} if names else {}) == count


def test_the_pilot_costs_a_night_on_one_gpu_and_little_more_disk_than_its_downloads():
    """The numbers in README.md and docs/paper.md."""
    told = shlex.split(jobs.estimate(Study.read(ROOT / "config.yaml", study="pilot")))
    done = estimate(json.loads(told[1]), json.loads(told[3]))
    last = next(line for line in done.stdout.splitlines() if line.startswith("all of them"))
    assert float(last.split()[3]) == 4.6, "GPU-hours"
    peak = next(line for line in done.stdout.splitlines() if line.startswith("peak"))
    assert peak.endswith("1.18 times the downloads")


def test_fewer_questions_of_every_task_cost_less(settings):
    facts, place = (
        costs.facts_of(costs.rows_of(ROOT / "resources/published/datasets.csv")),
        ("qwen2.5-omni-3b", "av_speakerbench"),
    )
    study = lambda **told: StudyCosts(
        settings | {"datasets": {place[1]: settings["datasets"][place[1]] | told}}, SHAPES, facts, RATES, 0.5
    )
    whole, few = study(), study(questions=50)
    assert few.facts[place[1]].questions == 12 * 50 and few.facts[place[1]].knockout_questions == 9 * 50
    assert study(questions=10_000).facts[place[1]] == whole.facts[place[1]] == facts[place[1]]
    assert few.facts[place[1]].media == pytest.approx(whole.clips(place[1], 600)), "of 2,051 clips, as many as 600 questions have"
    assert few.facts[place[1]].table_4_questions == 600 and study(discard_questions=30).facts[place[1]].table_4_questions == 360
    budget = [{"routes": ["audio->question"], "questions": "all"}]
    assert few.cuts(*place, budget)[1] / whole.cuts(*place, budget)[1] == pytest.approx(450 / 2281)
    fixed = whole.starts(*place, "evaluate")
    assert few.answered(*place) - fixed < 0.3 * (whole.answered(*place) - fixed)
    assert study(reliance_questions=50).relied(*place, 5) < 0.5 * whole.relied(*place, 5)
