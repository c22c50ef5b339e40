"""What the paper leaves open becomes knockout jobs: which choices are open where, what each job is told, and what is refused."""

import copy
import json

import pytest
import yaml
from conftest import ROOT

from avflow import figure_table, jobs, open_choices
from avflow.errors import InputError
from avflow.study import Study

CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
ROUTES = CONFIG["sensitivity"]["routes"]
TAIL, FRAMES = "sensitivity_tail_left_out", "sensitivity_frames_fewer"


def study(name="miniature", **sensitivity) -> Study:
    """A study of config.yaml, with other values of keys under `sensitivity`."""
    config = copy.deepcopy(CONFIG)
    config["sensitivity"] |= sensitivity
    return Study({**config, "study": name}, ROOT)


def choice(**alternatives) -> dict:
    return {"mine": {"asks": "Which?", "base": "this", "alternatives": alternatives}}


MINIATURE, PAPER = study(), study("paper")


def test_every_choice_starts_with_its_base_and_names_only_what_differs():
    found = [p for p in open_choices.parts(MINIATURE) if p["model"] == "tiny-omni" and p["dataset"] == "mini-video"]
    names = [(p["choice"], p["alternative"]) for p in found]
    assert names == [
        *(("tail", "base"), ("tail", "left_out"), ("order", "base"), ("order", "question_first")),
        *(("frames", "base"), ("frames", "fewer"), ("window", "base"), ("window", "narrower"), ("window", "wider")),
        *(("tasks", "base"), ("tasks", "one_sense")),
    ]
    words = {p["alternative"]: open_choices.in_words(p) for p in found}
    assert words == {
        "base": "",
        "left_out": "question = instruction + question_text + options",
        "question_first": "layout question_first",
        "fewer": "sampling omni-56px-1fps",
        "narrower": "window 1",
        "wider": "window 5",
        "one_sense": "tasks hear, see",
    }


def test_a_choice_is_open_only_where_an_alternative_differs():
    open_in = lambda of, model, dataset: {  # noqa: E731
        p["choice"] for p in open_choices.parts(of) if (p["model"], p["dataset"]) == (model, dataset)
    }
    assert open_in(MINIATURE, "tiny-salmonn", "mini-items") == {"order", "window", "tasks"}, "pictures have no frame rate"
    assert open_in(PAPER, "qwen2.5-omni-3b", "av_speakerbench") == {"tail", "order", "frames"}, "the paper states k = 7 of 36"
    assert open_in(PAPER, "qwen2.5-omni-7b", "av_odyssey") == {"order", "window", "tasks"}
    assert open_choices.asked(PAPER) == ["av_speakerbench", "av_odyssey"]
    assert list(open_choices.choices(PAPER)) == list(CONFIG["sensitivity"]["choices"])


def test_only_other_sequences_have_a_job_of_their_own():
    assert open_choices.analyses(MINIATURE) == open_choices.analyses(PAPER) == ["sensitivity", TAIL, FRAMES]
    own = {p["alternative"] for p in open_choices.parts(MINIATURE) if p["analysis"] != "sensitivity"}
    assert own == {"left_out", "fewer"}
    shards = open_choices.shards(PAPER)
    assert len(shards) == 4 * (3 * 5 + 1), "three jobs in five shards of clips and one in a shard of items, four models"
    assert "results/paper/knockout/qwen2.5-omni-7b/av_speakerbench/sensitivity_frames_fewer/3.parquet" in shards
    assert not [path for path in shards if "/av_odyssey/" in path and path.split("/")[-2] != "sensitivity"]


def test_a_job_is_told_what_differs_and_no_other_job_is():
    cuts = lambda of, *job: json.loads(jobs.knockout_cuts(of, *job))  # noqa: E731
    base = {"routes": ROUTES["av_video"], "first": 8}
    assert cuts(MINIATURE, "sensitivity", "mini-video", "tiny-omni") == [
        {**base, "questions": "all"},  # the base of `order`, which holds that of all other choices
        {**base, "questions": "all", "layouts": ["question_first"]},
        {**base, "questions": "correct", "widths": [1]},
        {**base, "questions": "correct", "widths": [5]},
    ]
    assert cuts(MINIATURE, TAIL, "mini-video", "tiny-omni") == [{**base, "questions": "correct"}]
    assert cuts(PAPER, "sensitivity", "av_odyssey", "qwen2.5-omni-3b")[-1] == {
        "routes": ROUTES["items"],
        "questions": "correct",
        "tasks": ["bird", "transportation"],
    }, "the other tasks of this alternative are cut anyway"
    union = lambda analysis: json.loads(jobs.spans(MINIATURE, "mini-video", analysis))["av_video"]  # noqa: E731
    assert "tail" in union("sensitivity")["question"] and "tail" in union("figure_4")["question"]
    assert union(TAIL) == {**CONFIG["spans"]["av_video"], "question": ["instruction", "question_text", "options"]}
    assert cuts(MINIATURE, "figure_4", "mini-video", "tiny-omni") == MINIATURE.budgets("figure_4", "mini-video")


def test_another_sampling_reads_features_of_its_own():
    of = lambda analysis, model: jobs.features(MINIATURE, model, "mini-video", analysis, "0")  # noqa: E731
    assert of(FRAMES, "tiny-omni") == "results/miniature/features/tiny-omni/mini-video/omni-56px-1fps/0.safetensors"
    assert of(FRAMES, "tiny-salmonn") == "results/miniature/features/tiny-salmonn/mini-video/salmonn-56px-half/0.safetensors"
    own = "results/miniature/features/tiny-omni/mini-video/0.safetensors"
    assert of("sensitivity", "tiny-omni") == of(TAIL, "tiny-omni") == of("figure_4", "tiny-omni") == own
    fewer = {name: CONFIG["sampling"][name] for name in ("omni-1fps", "salmonn-61k-2fps")}
    assert fewer["omni-1fps"] == {**CONFIG["sampling"]["omni-default"], "fps": 1}
    assert fewer["salmonn-61k-2fps"] == {**CONFIG["sampling"]["salmonn-61k"], "interval": 0.5}


def test_rows_are_told_apart_by_window_layout_and_tasks():
    told = [
        t for t in json.loads(jobs.gather_sensitivity(MINIATURE)) if (t["model"], t["dataset"]) == ("tiny-omni", "mini-video")
    ]
    of = {(t["choice"], t["alternative"]): t for t in told}
    assert of["window", "base"]["window"] == 3 and of["window", "wider"]["window"] == 5
    assert "layout" not in of["order", "base"] and of["order", "question_first"]["layout"] == "question_first"
    assert of["tasks", "one_sense"]["tasks"] == ["hear", "see"] and of["frames", "fewer"]["analysis"] == FRAMES


def test_the_miniature_draws_it_on_request_and_the_paper_always():
    assert "app_sensitivity" in figure_table.drawable(MINIATURE)
    assert "app_sensitivity" not in figure_table.drawn_by_default(MINIATURE)
    assert "app_sensitivity" in figure_table.drawn_by_default(PAPER)
    none = copy.deepcopy(CONFIG)
    del none["sensitivity"]
    assert "app_sensitivity" not in figure_table.drawable(Study(none, ROOT)) and open_choices.analyses(Study(none, ROOT)) == []
    shipped = Study({**copy.deepcopy(CONFIG), "tables": "shipped"}, ROOT)
    assert "tables is 'shipped', which holds no table" in figure_table.FIGURES["app_sensitivity"].missing(shipped)
    none["studies"]["miniature"]["on_request"] = ["app_order", "app_oder"]
    with pytest.raises(InputError, match="on_request names 'app_oder'; known: fig1, "):
        figure_table.drawn_by_default(Study(none, ROOT))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (choice(other={"sampling": {"tiny-omni": "omni-3fps"}}), "mine/alternatives/other/sampling names 'omni-3fps'"),
        (choice(other={"windows": {"tiny-oni": 5}}), "mine/alternatives/other/windows names 'tiny-oni'"),
        (choice(other={"tasks": {"mini-vido": ["hear"]}}), "mine/alternatives/other/tasks names 'mini-vido'"),
        (choice(other={"spans": {"video": {"question": ["options"]}}}), "mine/alternatives/other/spans names 'video'"),
        (choice(other={"spans": {"av_video": {"qestion": ["options"]}}}), "other/spans/av_video names 'qestion', which is not"),
        (
            choice(other={"layouts": {"video": "eq3"}}),
            "other/layouts names 'eq3' for mini-video, but setting av_video has no such",
        ),
        (choice(base={"windows": {"tiny-omni": 5}}), "mine/alternatives/base: what the rest of config.yaml says is base"),
    ],
)
def test_a_name_that_is_not_defined_is_one_line(changes, message):
    with pytest.raises(InputError) as error:
        open_choices.analyses(study(choices=changes))
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"windows": {"tiny-omni": 4}}, "windows/tiny-omni is 4, an even number; write an odd one"),
        ({"layouts": {"mini-video": "backwards"}}, "is 'backwards', which is unknown; known: default"),
        ({"frames": {"tiny-omni": 4}}, "other/frames is unknown; known: spans, layouts, sampling, windows, tasks"),
        ({}, "choices/mine/alternatives/other"),
    ],
)
def test_an_alternative_that_the_schema_refuses_is_one_line(other, message):
    with pytest.raises(InputError) as error:
        study(choices=choice(other=other))
    assert message in str(error.value)


def test_an_analysis_may_not_take_the_name_of_a_job():
    config = copy.deepcopy(CONFIG)
    config["knockout"]["cuts"]["sensitivity_mine"] = config["knockout"]["cuts"]["figure_4"]
    with pytest.raises(InputError, match="knockout/cuts/sensitivity_mine has the name of a job of `sensitivity`"):
        open_choices.analyses(Study(config, ROOT))


@pytest.mark.parametrize("of", [MINIATURE, PAPER], ids=["miniature", "paper"])
def test_the_figure_is_told_which_choice_asks_other_tasks(of):
    told = figure_table.sensitivity(of)["choices"]
    asking = [name for name, it in told.items() if any("tasks" in other for other in it["alternatives"].values())]
    assert asking == ["tasks"], "the figure pairs questions in all other choices"
