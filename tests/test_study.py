"""What the workflow computes from config.yaml, without starting Snakemake.

Also tests avflow.figure_table, avflow.jobs and avflow.questions.readers.
"""

import copy
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, SCRIPTS

from avflow import figure_table, jobs
from avflow.errors import InputError
from avflow.questions import readers
from avflow.study import Study, check_schema

CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
SCHEMA = yaml.safe_load((ROOT / "schemas/config.schema.yaml").read_text())
CLIPS = {
    "main_model": "tiny-omni",
    "video": "mini-video",
    "items": "mini-video",
    "models": ["tiny-omni"],
    "datasets": ["mini-video"],
}
ITEMS = CLIPS | {"video": "mini-items", "items": "mini-items", "datasets": ["mini-items"]}


def merged(old, new):
    """Mappings key by key, as Snakemake merges configuration files; everything else is replaced."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    return {**old, **{key: merged(old.get(key), value) for key, value in new.items()}}


def study(name="miniature", folder=ROOT, **changes) -> Study:
    return Study(merged(copy.deepcopy(CONFIG), {"study": name, **changes}), folder)


def alone(of: dict, **changes) -> Study:
    """A study of one kind of dataset."""
    return study("mine", studies={"mine": of}, **changes)


def options(text: str) -> dict:
    """ "--a 1 --b" as a mapping."""
    words, found = shlex.split(text), {}
    for word in words:
        if word.startswith("--"):
            name = word[2:]
            found[name] = []
        else:
            found[name].append(word)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


MINIATURE, PAPER = study(), study("paper")


# The study: models, datasets, roles.


def test_a_study_is_read_from_its_file_and_another_one_of_the_same_file():
    read = Study.read(ROOT / "config.yaml")
    assert read.name == "miniature" and read.models == ["tiny-omni", "tiny-salmonn"] and read.folder == ROOT
    other = Study.read(ROOT / "config.yaml", study="paper", seed=7)
    assert other.name == "paper" and other.config["seed"] == 7
    assert other.models[0] == other.main_model == "qwen2.5-omni-3b" and len(other.models) == 4


def test_defaults_are_filled_in_and_the_main_model_goes_first():
    found = study("paper", studies={"paper": {"main_model": "video-salmonn2-plus-7b"}})
    assert found.models[0] == "video-salmonn2-plus-7b" and sorted(found.models) == sorted(PAPER.models)
    assert PAPER.model("qwen2.5-omni-3b")["gpus"] == 1 and MINIATURE.model("tiny-omni")["gpus"] == 0
    assert MINIATURE.config["tables"] == "fresh" and found.windows == dict.fromkeys(found.models, 7)
    assert MINIATURE.keeps_features and not PAPER.keeps_features


def test_datasets_have_roles_and_settings():
    assert MINIATURE.roles == {"mini-video": "video", "mini-items": "items"}
    assert PAPER.settings == {"av_video": "av_speakerbench", "items": "av_odyssey"}
    assert alone(CLIPS).roles == {"mini-video": "video"} and alone(ITEMS).roles == {"mini-items": "items"}
    assert MINIATURE.datasets_of_type("miniature") == [
        "mini-video",
        "mini-items",
        "mini-graded",
        "mini-free",
        "mini-fresh",
        "mini-items-fresh",
    ]
    assert MINIATURE.datasets_of_type("questions") == []


def test_discards_are_tried_in_more_datasets_than_they_are_swept_in():
    assert MINIATURE.tried == ["mini-video", "mini-items", "mini-graded", "mini-fresh", "mini-items-fresh"]
    assert MINIATURE.swept == ["mini-video", "mini-items"]
    assert PAPER.tried == ["av_speakerbench", "av_odyssey", "worldsense"] and PAPER.swept == ["av_speakerbench", "av_odyssey"]
    assert alone(CLIPS).tried == alone(CLIPS).swept == []
    one = alone(CLIPS | {"discards": {"knockout": {"mini-video": ["*"]}, "cross_dataset": {"mini-fresh": ["hear"]}}})
    assert one.tried == ["mini-video", "mini-fresh"] and one.swept == ["mini-video"]


def test_the_pilot_is_the_papers_study_with_one_model_and_fewer_questions():
    pilot = study("pilot")
    assert pilot.models == [PAPER.main_model] and pilot.datasets == PAPER.datasets and pilot.paths["results"] == "results/pilot"
    assert set(figure_table.drawable(pilot)) == set(figure_table.drawable(PAPER))
    tables = lambda of: {path.replace(of.name, "") for path in figure_table.tables(of)}
    assert tables(pilot) == tables(PAPER) and pilot.analyses == PAPER.analyses
    for name, dataset in (("figure_3", "av_speakerbench"), ("figure_5", "av_odyssey")):
        assert pilot.budget(name, dataset)["routes"] == PAPER.budget(name, dataset)["routes"]
    assert pilot.budget("figure_3", "av_speakerbench")["first"] == 30 and "first" not in pilot.budget(
        "figure_4", "av_speakerbench"
    )
    assert options(jobs.prepare(pilot, "av_speakerbench"))["per-task"] == "240"
    assert "questions" not in study("paper").dataset("av_speakerbench"), "its changes are its own"
    assert "--stamp 'pilot, n = 240 questions" in jobs.notebook(pilot, "fig4")
    assert "--stamp" not in jobs.notebook(PAPER, "fig4")


def test_changes_of_a_study_are_checked_as_the_rest_is():
    refused = lambda changes: pytest.raises(InputError, match=changes)
    with refused("studies/mine/changes/studies"):
        alone(CLIPS | {"changes": {"studies": {}}})
    with refused("datasets/mini-video/shards is 'two', not a whole number"):
        alone(CLIPS | {"changes": {"datasets": {"mini-video": {"shards": "two"}}}})
    found = alone(CLIPS | {"changes": {"seed": 3, "knockout": {"cuts": {"figure_4": {"stride": 2}}}}})
    assert found.config["seed"] == 3 and found.budget("figure_4", "mini-video")["stride"] == 2


# Budgets of knockouts.


def test_a_budget_is_the_analysis_with_what_differs_in_a_dataset():
    budget = MINIATURE.budget("figure_3", "mini-video")
    assert budget == {
        "routes": ["cross_frame", "cross_audio_segment", "audio<->video"],
        "controls": {"random_other": 1, "questions": 10},
        "questions": 15,
    }
    assert MINIATURE.budget("figure_3", "mini-items") is None
    own = study(knockout={"cuts": {"figure_3": {"datasets": {"mini-video": {"routes": ["cross_frame"], "stride": 2}}}}})
    assert (
        own.budget("figure_3", "mini-video")["routes"] == ["cross_frame"] and own.budget("figure_3", "mini-video")["stride"] == 2
    )


def test_a_role_stands_for_the_studys_own_dataset_and_a_name_goes_first():
    assert "questions" not in PAPER.budget("figure_3", "av_speakerbench")
    assert (
        PAPER.budget("windows", "av_speakerbench")["questions"] == 100
        and MINIATURE.budget("windows", "mini-video")["questions"] == 10
    )
    assert PAPER.budget("figure_4", "worldsense") is None, "of the study, but in no role"
    assert MINIATURE.budget("graded", "mini-graded") and PAPER.analyses.count("graded") == 0
    assert MINIATURE.budget("order_video", "mini-video")["questions"] == "all"
    assert PAPER.budget("failed", "av_speakerbench")["questions"] == "wrong"


def test_controls_of_fewer_questions_are_a_budget_of_their_own():
    routes, controls = MINIATURE.budgets("figure_4", "mini-video")
    assert "controls" not in routes and "first" not in routes
    assert controls == routes | {"controls": {"random_other": 1}, "first": 10}
    first = study(knockout={"cuts": {"figure_4": {"first": 4}}}).budgets("figure_4", "mini-video")
    assert [budget["first"] for budget in first] == [4, 4]
    assert len(MINIATURE.budgets("windows", "mini-video")) == 1, "no controls"
    assert MINIATURE.budgets("figure_4", "mini-items") == []
    everywhere = merged(CONFIG, {})
    cuts = everywhere["knockout"]["cuts"]["figure_5"] = {**CONFIG["knockout"]["cuts"]["figure_5"], "controls": {"random_same": 1}}
    cuts["datasets"] = {"items": {}}
    assert len(Study(everywhere, ROOT).budgets("figure_5", "mini-items")) == 1


def test_the_logit_difference_asks_for_all_questions():
    found = study(figures={"metric": "logit_difference"})
    assert found.budget("figure_4", "mini-video")["questions"] == "all" and "first" not in found.budget("figure_4", "mini-video")
    assert found.budget("figure_3", "mini-video") | {"routes": []} == {
        "routes": [],
        "controls": {"random_other": 1, "questions": 10},
        "questions": "all",
        "first": 15,
    }
    both = study(figures={"metric": "logit_difference"}, knockout={"cuts": {"figure_3": {"first": 5}}})
    assert both.budget("figure_3", "mini-video")["first"] == 5
    assert study("paper", figures={"metric": "logit_difference"}).budget("failed", "av_speakerbench")["questions"] == "wrong"


def test_analyses_are_those_for_datasets_of_the_study():
    assert MINIATURE.analyses == [
        *(
            "figure_3",
            "figure_4",
            "question_words",
            "figure_5",
            "figure_6",
            "windows",
            "graded",
            "order_items",
            "order_video",
            "free",
            "options",
        ),
        *("cumulative", "failed", "value_zero", "heads", "head_sets", "sinks"),
    ]
    assert alone(ITEMS).analyses == ["figure_5", "figure_6", "order_items"]
    assert set(alone(CLIPS).analyses) & {"figure_5", "figure_6", "order_items", "graded"} == set()
    assert MINIATURE.cut_in("figure_4") == ["mini-video"] and MINIATURE.cut_in("graded") == ["mini-graded"]


def test_attention_and_sufficiency_name_their_questions():
    assert MINIATURE.attended == ["mini-video", "mini-items"] and MINIATURE.kept_open == ["mini-video"]
    assert MINIATURE.asked("attention", "mini-video") == {"first": 10} and MINIATURE.asked("attention", "mini-graded") is None
    assert PAPER.asked("attention", "av_speakerbench") == {} and PAPER.asked("sufficiency", "av_speakerbench") == {"shards": 5}
    assert alone(ITEMS).kept_open == [] and not alone(ITEMS).attends_video and alone(CLIPS).attends_video


# Routes.


def test_routes_of_a_dataset_are_cut_there_and_not_drawn():
    cut, drawn = PAPER.budget("figure_4", "av_speakerbench")["routes"], PAPER.routes("figure_4")
    assert set(drawn) < set(cut) and set(cut) - set(drawn) == set(MINIATURE.routes("question_words"))
    assert MINIATURE.budget("figure_4", "mini-video")["routes"] == drawn


@pytest.mark.parametrize("name", ["fig3", "fig4", "fig5", "fig6", "app_options", "app_failed", "app_cumulative", "app_window"])
def test_a_figure_is_told_to_draw_every_route_of_its_analysis(name):
    """A route is drawn because config.yaml lists it: there is no second list."""
    (analysis,) = figure_table.FIGURES[name].analyses
    told = figure_table.parameters(MINIATURE, name)["routes"]
    assert told == MINIATURE.config["knockout"]["cuts"][analysis]["routes"] and told


def test_the_overviews_and_the_explorer_draw_what_the_main_figures_draw():
    main = {f"figure_{n}": figure_table.parameters(MINIATURE, f"fig{n}")["routes"] for n in (3, 4, 5, 6)}
    assert figure_table.main_routes(MINIATURE) == main
    assert all(figure_table.parameters(MINIATURE, name)["routes"] == main for name in ("app_tasks", "app_models"))
    told = figure_table.parameters(MINIATURE, "app_order")["routes"]
    assert told == {"items": MINIATURE.routes("order_items"), "clips": MINIATURE.routes("order_video")}


# Files.


def test_files_lie_below_the_study_and_pathvars_move_them():
    assert MINIATURE.paths == {
        "results": "results/miniature",
        "logs": "logs/miniature",
        "downloads": "downloads",
        "tables": "results/miniature/tables",
        "drawn": "results/miniature",
    }
    shipped = study(tables="shipped")
    assert shipped.paths["results"] == "results/shipped" and shipped.paths["drawn"] == "figures/shipped"
    moved = study("paper", pathvars={"results": "far/away", "downloads": "disk"})
    assert moved.paths["tables"] == "far/away/tables" and moved.media_root("av_odyssey") == "far/away/datasets/av_odyssey"
    assert moved.checkpoint_folder("qwen2.5-omni-3b") == "disk/models/qwen2.5-omni-3b"


def test_checkpoints_are_files_or_a_downloads_manifest():
    assert jobs.checkpoint(PAPER, "qwen2.5-omni-3b") == ["downloads/models/qwen2.5-omni-3b/manifest.json"]
    files = jobs.checkpoint(MINIATURE, "tiny-omni")
    assert "resources/tiny-omni/config.json" in files and all((ROOT / path).is_file() for path in files)
    assert PAPER.from_hub("models") == CONFIG["studies"]["paper"]["models"] and MINIATURE.from_hub("datasets") == []


def test_shards_are_listed_by_dataset_part_and_model():
    few = study("paper", datasets={"av_speakerbench": {"shards": 2}, "worldsense": {"shards": 1}})
    found = few.shards("evaluate", ["av_speakerbench", "worldsense"], few.models[:2])
    names = [path.removeprefix("results/paper/evaluate/") for path in found]
    assert names == [
        *("qwen2.5-omni-3b/av_speakerbench/0.parquet", "qwen2.5-omni-7b/av_speakerbench/0.parquet"),
        *("qwen2.5-omni-3b/av_speakerbench/1.parquet", "qwen2.5-omni-7b/av_speakerbench/1.parquet"),
        *("qwen2.5-omni-3b/worldsense/0.parquet", "qwen2.5-omni-7b/worldsense/0.parquet"),
    ]
    assert jobs.knockout_shards(MINIATURE, "graded")[0] == "results/miniature/knockout/tiny-omni/mini-graded/graded/0.parquet"
    assert len(jobs.sufficiency_shards(PAPER)) == 4 * 5, "four models, the first five shards"
    assert jobs.sufficiency_shards(few)[-1] == "results/paper/sufficiency/video-salmonn2-plus-7b/av_speakerbench/1.parquet"


def test_layers_follow_from_knockouts_where_config_does_not_name_them():
    assert jobs.layer_shards(PAPER, "qwen2.5-omni-3b") == []
    found = {path.split("/")[-2] for path in jobs.layer_shards(MINIATURE, "tiny-omni")}
    assert found == {"figure_4", "question_words", "figure_5", "figure_6"}
    assert len(jobs.layer_shards(PAPER, "qwen2.5-omni-7b")) == 80 + 2 * 8


def test_the_table_of_figures_lists_what_a_study_computes():
    tables = [path.removeprefix("results/miniature/tables/") for path in figure_table.tables(MINIATURE)]
    assert {"tab1.csv", "tab2.tex", "tab4_video.csv", "tab4_items.tex", "tab3.html", "knockout_value_zero.parquet"} <= set(tables)
    assert len(tables) == len(set(tables)) and sum(path.endswith(".parquet") for path in tables) == 14 + 7
    without = [path.rsplit("/")[-1] for path in figure_table.tables(alone(ITEMS))]
    assert "tab1.csv" not in without and "pruning.parquet" not in without and "sufficiency.parquet" not in without
    assert "tab2.csv" not in without and "tab3.csv" in without
    clips = [path.rsplit("/")[-1] for path in figure_table.tables(alone(CLIPS))]
    assert {"tab1.csv", "tab2.csv"} <= set(clips) and "tab3.csv" not in clips
    assert figure_table.tables(study(tables="shipped")) == figure_table.claims(study(tables="shipped")) == []
    assert figure_table.claims(PAPER) == ["results/paper/tables/claims.csv", "results/paper/tables/claims.html"]
    assert figure_table.claims(alone(CLIPS)) == []
    assert figure_table.table_4(alone(CLIPS | {"discards": {"knockout": {"mini-video": ["*"]}}}), "csv") == [
        "results/mine/tables/tab4_video.csv"
    ]
    assert {"sampled_media.csv", "sampled_media.html"} <= set(tables)
    assert figure_table.table_title("sampled_media") == "Sampled media"
    held = [path.rsplit("/")[-1] for path in figure_table.claimed_tables(alone(ITEMS))]
    assert sorted(held) == ["evaluate.parquet", "knockout_figure_5.parquet", "knockout_figure_6.parquet", "reliance.parquet"]
    assert (
        figure_table.table_title("tab4_items") == "Table 4: interleaved items" and figure_table.table_title("claims") == "Claims"
    )


# Figures.


def test_each_study_has_the_figures_of_its_datasets():
    everything = set(figure_table.FIGURES)
    assert set(figure_table.drawable(MINIATURE)) == everything
    assert set(figure_table.drawable(PAPER)) == everything - {"app_training", "app_world", "app_free"}
    assert everything - set(figure_table.drawable(alone(CLIPS))) == {
        "fig5",
        "fig6",
        "app_discard_layers",
        "app_pareto",
        "app_world",
        "app_free",
    }
    assert set(figure_table.drawable(alone(ITEMS))) == {
        *("fig5", "fig6", "app_order", "app_baseline", "app_answer_probability", "app_tasks", "app_models", "app_training"),
        "app_sensitivity",
        "app_resample",
    }


def test_every_figure_has_a_notebook_a_target_and_a_caption():
    rules, captions = (ROOT / "rules/figures.smk").read_text(), (ROOT / "report/captions.rst").read_text()
    for name in figure_table.FIGURES:
        assert f"\nrule {name}:\n" in rules and f'  "{name}": ' in captions
    assert {p.stem for p in (ROOT / "figures").glob("*.ipynb")} == set(figure_table.FIGURES)
    assert [name for name in figure_table.FIGURES if figure_table.FIGURES[name].category == "Figures"] == [
        f"fig{n}" for n in range(1, 7)
    ]


def defaults(name: str) -> set[str]:
    """The parameters that a figure's notebook takes."""
    cells = json.loads((ROOT / f"figures/{name}.ipynb").read_text())["cells"]
    first = next(cell for cell in cells if "parameters" in cell["metadata"].get("tags", []))
    return {line.split(" = ")[0] for line in "".join(first["source"]).splitlines() if " = " in line}


@pytest.mark.parametrize("name", figure_table.FIGURES)
def test_a_notebook_is_told_what_it_takes(name):
    for of in (MINIATURE, PAPER):
        if name in figure_table.drawable(of):
            told = {*figure_table.parameters(of, name), "pdf", "png", *figure_table.FIGURES[name].writes}
            assert told <= defaults(name) and defaults(name) - told <= {"graded"}


def test_what_a_figure_is_told_is_what_it_waits_for():
    reading = {
        "evaluated": ["results/miniature/tables/evaluate/mini-video.parquet"],
        "published": "resources/published/curves.csv",
        "draws": 2000,
        "seed": 0,
        "metric": "probability",
        "least": 10,
    }
    assert figure_table.parameters(MINIATURE, "fig4") == {
        "table": "results/miniature/tables/knockout_figure_4.parquet",
        "models": {"tiny-omni": 3, "tiny-salmonn": 3},
        "dataset": "mini-video",
        "routes": MINIATURE.routes("figure_4"),
        "reading": reading,
    }
    assert figure_table.inputs(MINIATURE, "fig4") == [
        "results/miniature/tables/knockout_figure_4.parquet",
        "results/miniature/tables/evaluate/mini-video.parquet",
        "resources/published/curves.csv",
    ]
    sure = study(figures={"confident": 0.5})
    assert "results/miniature/tables/reliance.parquet" in figure_table.inputs(sure, "fig4")
    assert figure_table.parameters(sure, "fig4")["reading"]["confident"] == 0.5
    shipped = figure_table.inputs(study(tables="shipped"), "fig4")
    assert shipped[:2] == ["figures/shipped/tables/knockout_figure_4.parquet", "figures/shipped/tables/evaluate.parquet"]


def test_figures_are_told_of_the_studys_own_datasets_and_models():
    told = {name: figure_table.parameters(MINIATURE, name) for name in figure_table.FIGURES}
    assert told["fig5"]["dataset"] == "mini-items" and told["app_window"]["models"] == ["tiny-omni", "tiny-salmonn"]
    assert told["app_tasks"]["model"] == "tiny-omni" and set(told["app_models"]["tables"]) == set(figure_table.MAIN)
    assert told["app_pareto"]["datasets"] == {"av_video": "mini-video", "items": "mini-items"}
    assert told["app_attention_change"]["route"] == "audio->question" and told["app_attention_change"]["layers"] == [0, 0.67]
    assert told["app_world"]["shards"] == told["app_world"]["item_shards"] == 1
    assert told["app_world"]["video_frames"] == "results/miniature/frames/mini-video/omni-56px/0.safetensors"
    assert told["app_training"]["logs"]["tiny-omni"] == "resources/tiny-omni/training.jsonl"
    assert len(told["app_baseline"]["dropped"]) == 4 and told["app_cumulative"]["draws"] == 2000
    assert figure_table.parameters(PAPER, "fig1")["layers"] == {"qwen2.5-omni-3b": [30, 31]}
    few = alone(ITEMS)
    assert figure_table.parameters(few, "app_order")["clips_table"] == ""
    assert figure_table.parameters(few, "app_tasks")["tables"]["figure_3"] == ""
    assert "" not in figure_table.inputs(few, "app_tasks")
    assert "-p dataset mini-video -p draws 2000 -p seed 0 -p routes '[" in jobs.notebook(MINIATURE, "app_cumulative")


@pytest.mark.parametrize(
    ("of", "name", "message"),
    [
        (CLIPS, "fig5", "config.yaml: knockout/cuts/figure_5 names no dataset of the study mine"),
        (ITEMS, "app_reliance", "none of knockout/cuts/figure_4, knockout/cuts/graded names a dataset of the study mine"),
        (ITEMS, "fig1", "the study mine reads no attention in an audio-visual dataset of its own"),
        (CLIPS, "app_pareto", "the study mine names no discards"),
        (
            ITEMS,
            "app_sufficiency",
            "the study mine has no dataset that sufficiency/datasets names and sufficiency/analyses cut in",
        ),
        (CLIPS, "app_world", "the study mine needs both mini-video and mini-items"),
    ],
)
def test_a_figure_that_a_study_has_not_says_why(of, name, message):
    for asked in (figure_table.inputs, jobs.notebook):
        with pytest.raises(InputError) as refused:
            asked(alone(of), name)
        assert message in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("of", "target", "message"),
    [
        (ITEMS, "tab1", "the study mine reads no attention in an audio-visual dataset of its own"),
        (ITEMS, "tab2", "the study mine has no audio-visual dataset (setting av_video)"),
        (CLIPS, "tab3", "the study mine has no dataset of interleaved items (setting items)"),
        (CLIPS, "tab4", "the study mine names no discards, so it discards no tokens"),
        (CLIPS, "claims", "the study mine names no file of claims"),
    ],
)
def test_a_table_that_a_study_has_not_says_why(of, target, message):
    with pytest.raises(InputError) as refused:
        figure_table.able(alone(of), target)
    assert str(refused.value) == f"config.yaml: {message}"
    assert all(figure_table.able(MINIATURE, name) == [] for name in figure_table.TABLES)


def test_layers_of_discards_need_cuts_of_every_route_that_reads_a_kind():
    assert jobs.layer_shards(MINIATURE, "tiny-omni")
    kinds = {"pruning": {"kinds": {"av_video": {"Audio": {"routes": ["audio->options"]}}}}}
    with pytest.raises(
        InputError, match="av_video has the route audio->options, which none of figure_4, question_words, figure_5, figure_6 cuts"
    ):
        jobs.layer_shards(study(**kinds), "tiny-omni")
    given = {"models": {"tiny-omni": {"discard_layers": {"av_video": {"Audio": 1, "Video": 1, "Ques": 1}}}}}
    assert jobs.layer_shards(study(**kinds, **given), "tiny-omni")


# What jobs are told.


def test_mappings_become_options():
    written = jobs.as_options({"max_frames": 768, "silent": True, "loud": False, "tasks": ["a b", "c"], "text": "it's"})
    assert shlex.split(written) == ["--max-frames", "768", "--silent", "--tasks", '["a b", "c"]', "--text", "it's"]


def test_models_are_loaded_as_configured():
    tiny = options(jobs.model(MINIATURE, "tiny-salmonn"))
    assert tiny["checkpoint"] == "resources/tiny-salmonn" and tiny["device"] == "cpu" and tiny["positions"] == "official_generate"
    big = options(jobs.model(PAPER, "qwen2.5-omni-7b"))
    assert big["checkpoint"] == "downloads/models/qwen2.5-omni-7b" and big["dtype"] == "bfloat16" and "device" not in big
    assert big["max-tokens"] == "32768" and "max-tokens" not in tiny, "the budget of its sampling"


def test_media_are_sampled_as_configured():
    told = options(jobs.sampling(PAPER, "omni-default"))
    assert (told["fps"], told["frames"], told["rate"], told["min-frames"]) == ("2", "official", "sampled", "4")
    assert (told["max-tokens"], told["min-fps"], told["audio-per-second"], told["audio-seconds"]) == ("32768", "1", "25", "300")
    assert options(jobs.sampling(MINIATURE, "omni-56px"))["frames"] == "exact"
    tables = jobs.sampled(PAPER)
    assert len(tables) == 3 * 2 and len(tables["worldsense", "omni-default"]) == 5
    assert tables["av_odyssey", "salmonn-61k"][3] == "results/paper/features/video-salmonn2-plus-3b/av_odyssey/3.tsv"
    assert jobs.sampled(MINIATURE)["mini-items", "omni-56px"] == ["results/miniature/frames/mini-items/omni-56px/0.tsv"]
    assert ("mini-fresh", "omni-56px") in jobs.sampled(MINIATURE), "Table 4 reads it"


def test_jobs_that_encode_read_frames_or_decode_their_shards_media():
    told = options(jobs.media_source(MINIATURE, "mini-video", "tiny-omni", "0"))
    assert told == {"frames": "results/miniature/frames/mini-video/omni-56px/0.safetensors"}
    (text,) = shlex.split(jobs.media_source(PAPER, "worldsense", "qwen2.5-omni-7b", "3"))
    told = options(text.removeprefix("--decode="))
    assert told["media"] == "results/paper/media/worldsense/3.jsonl" and told["media-root"] == "results/paper/datasets/worldsense"
    assert told["remedy"] == "run the same command again with --forcerun prepare_benchmark"
    assert text.endswith(jobs.sampling(PAPER, "omni-default"))
    assert jobs.sampling(PAPER, "omni-1fps") in jobs.media_source(PAPER, "worldsense", "omni-1fps", "3")


def test_what_comes_last_has_features_of_its_own_where_none_are_kept():
    assert jobs.features_again(MINIATURE, "tiny-omni", "mini-video", "0") == jobs.features(
        MINIATURE, "tiny-omni", "mini-video", "figure_4", "0"
    )
    assert "/for_sufficiency/" in jobs.features_again(PAPER, "qwen2.5-omni-7b", "av_speakerbench", "0")


def test_datasets_are_prepared_as_configured():
    told = options(jobs.prepare(MINIATURE, "mini-video"))
    decoding = {"reader": "auto", "max-picture-pixels": "50000000"}
    assert told == {"type": "miniature", "setting": "av_video", "per-task": "30", "knockout": "30", **decoding}
    told = options(jobs.prepare(PAPER, "av_speakerbench"))
    asked = {"type", "setting", "groups", "keep", "instruction", "ending", "knockout-tasks", "knockout"}
    assert asked | decoding.keys() == set(told)
    assert json.loads(told["groups"])["visual_recognition"] == ["*activity*", "*attribute*"]


def test_spans_and_cuts_are_json():
    assert json.loads(jobs.spans(PAPER, "av_odyssey")) == {"items": CONFIG["spans"]["items"]}
    assert json.loads(jobs.knockout_cuts(MINIATURE, "figure_4", "mini-video")) == MINIATURE.budgets("figure_4", "mini-video")
    assert jobs.gather_knockout(PAPER, "failed") == jobs.gather_knockout(PAPER, "figure_4") == "--may-be-empty"
    assert jobs.gather_knockout(PAPER, "order_items") == "", "all questions are cut, right or wrong"


def test_attention_sufficiency_and_reliance_name_questions():
    told = options(jobs.attention(PAPER, "qwen2.5-omni-3b", "av_speakerbench"))
    assert told["masked-layers"] == ["31", "35"] and "first" not in told and json.loads(told["change"])["layers"] == [0, 0.67]
    told = options(jobs.attention(MINIATURE, "tiny-omni", "mini-items"))
    assert told == {"first": "10", "maps": "1", "bins": "64"}, "nothing is masked in items"
    assert options(jobs.sufficiency(PAPER, "av_speakerbench")) == {
        "draws": "2",
        "thresholds": ["1", "2", "5", "10", "20", "40", "60"],
    }
    assert options(jobs.reliance(MINIATURE, "mini-video")) == {"shuffles": "1", "first": "20"}
    assert options(jobs.reliance(PAPER, "worldsense")) == {"shuffles": "1"}
    assert jobs.sufficiency_tables(MINIATURE, "mini-video")[0].endswith("knockout_figure_3.parquet")


def test_discards_name_tasks_kinds_and_files():
    told = options(jobs.pruning(PAPER, "av_speakerbench"))
    assert told["tasks"] == ["speech_recognition", "*activity*", "*attribute*", "visual_counting", "speech_counting"]
    assert told["timed"] == "5" and told["repeats"] == "20" and "first" not in told
    assert options(jobs.pruning(MINIATURE, "mini-video")) | {"fastv": ""} == {
        **{"tasks": "*", "random": "2", "fastv": "", "timed": "1", "repeats": "3", "first": "12"},
    }
    swept = options(jobs.discard_sweep(MINIATURE, "mini-items"))
    assert json.loads(swept.pop("discards"))["items"]["Cand"] == "candidates"
    assert swept == {"random": "2", "first": "4", "stride": "1"}, "of the dataset"
    swept = options(jobs.discard_sweep(PAPER, "av_odyssey"))
    assert (swept["random"], swept["first"]) == ("5", "6"), "of `pruning`"
    layers = options(jobs.discard_layers(PAPER, "qwen2.5-omni-3b"))
    assert json.loads(layers["given"])["items"] == {"Ques": 29, "Ref": 31, "Cand": 25}
    assert json.loads(options(jobs.discard_layers(PAPER, "qwen2.5-omni-7b"))["given"]) is None
    told = options(jobs.tab4(MINIATURE))
    assert told["items"] == "results/miniature/tables/tab4_items.csv" and told["models"] == ["tiny-omni", "tiny-salmonn"]


def test_claims_wait_for_the_tables_that_decide_them_and_for_no_others():
    held = {path.rsplit("/")[-1] for path in figure_table.claimed_tables(MINIATURE)}
    assert {"tab1.csv", "tab2.csv", "tab3.csv", "tab4_video.csv", "tab4_items.csv", "attention.parquet"} <= held
    assert {"knockout_value_zero.parquet", "knockout_windows.parquet", "discard_sweep.parquet", "sufficiency.parquet"} <= held
    held = {path.rsplit("/")[-1] for path in figure_table.claimed_tables(PAPER)}
    figures = {f"knockout_figure_{number}.parquet" for number in (3, 4, 5, 6)}
    assert held == figures | {"evaluate.parquet", "reliance.parquet", "pruning.parquet", "attention.parquet", "tab1.csv"}


def test_claims_are_told_where_tables_lie():
    told = options(jobs.claims(PAPER))
    assert told["tables"] == "results/paper/tables" and told["least"] == "10"
    assert json.loads(told["datasets"]) == {"video": "av_speakerbench", "items": "av_odyssey"}


def test_pin_targets_are_the_studys_own():
    told = json.loads(jobs.pin_targets(PAPER))
    assert set(told) == {*PAPER.models, *PAPER.datasets} and told["worldsense"]["repo_type"] == "dataset"
    assert set(told["qwen2.5-omni-3b"]) == {"repo", "repo_type", "licence"} and jobs.pin_targets(MINIATURE) == "{}"


def test_the_estimate_knows_what_every_figure_needs():
    told = options(jobs.estimate(PAPER))
    settings, targets = json.loads(told["settings"]), json.loads(told["targets"])
    assert set(settings["models"]) == set(PAPER.models) and settings["variants"] == 5
    assert settings["keep_frames"] is False and settings["keep_features"] is False
    assert settings["cuts"]["figure_4"]["av_speakerbench"] == PAPER.budgets("figure_4", "av_speakerbench")
    assert settings["looks"]["sufficiency"]["av_speakerbench"] == {"shards": 5, "forwards": 3 + 3 * 7, "again": True}
    assert settings["looks"]["attention"]["av_odyssey"] == {"first": 30, "forwards": 1, "maps": 1}
    assert settings["discards"]["timed"]["av_speakerbench"] == [5 * 5, 20]
    assert settings["discards"]["ranked"] == 3 and settings["discards"]["kinds"]["items"] == [
        "question_text",
        "reference",
        "candidates",
    ]
    assert targets["fig4"] == {"cuts": ["figure_4"], "looks": [], "reliance": False}
    assert targets["fig1"] == {"cuts": [], "looks": ["attention"], "reliance": False}
    assert targets["app_sufficiency"] == {
        "cuts": ["figure_3", "figure_4"],
        "looks": ["sufficiency"],
        "reliance": False,
    }
    assert targets["app_sensitivity"] == {"cuts": [], "reliance": False, "open_choices": True}
    assert set(settings["open_choices"]) == set(PAPER.models)
    share, (base, tail, frames) = settings["open_choices"]["qwen2.5-omni-7b"]["av_speakerbench"]
    assert share == 5 / 80 and [job["sampling"] for job in (base, tail, frames)] == [None, None, "omni-1fps"]
    assert len(base["budgets"]) == 3 and len(tail["budgets"]) == len(frames["budgets"]) == 1
    assert targets["app_reliance"] == {"cuts": ["figure_4"], "looks": [], "reliance": True}
    assert targets["tab4, app_pareto"]["discards"] == ["discards", "table_4"] and "app_pareto" not in targets
    assert not {"app_training", "app_world"} & set(jobs.estimated_targets(MINIATURE)), "they need no model"


def test_routes_are_patched_in_the_shards_and_tasks_that_the_study_names():
    assert MINIATURE.patched == ["mini-video", "mini-items"] and PAPER.patched == ["av_speakerbench"]
    assert len(jobs.resample_shards(PAPER)) == 4 * 5 and len(jobs.resample_shards(MINIATURE)) == 4
    told = options(jobs.resample(MINIATURE, "mini-video"))
    assert told["routes"] == ["video->question", "audio->question", "question->last"] and told["first"] == "10"
    assert told["tasks"] == ["hear", "see"] and options(jobs.resample(PAPER, "av_speakerbench"))["tasks"] == "*"


def test_patches_are_drawn_beside_the_cuts_of_their_routes_and_in_the_paper_on_request():
    told = figure_table.parameters(MINIATURE, "app_resample")
    tables = {name: [Path(path).stem for path in paths] for name, paths in told["cuts"].items()}
    assert tables == {"mini-video": ["knockout_figure_4"], "mini-items": ["knockout_figure_5"]}
    made = [any("resample" in path for path in figure_table.tables(study)) for study in (MINIATURE, PAPER)]
    assert made == ["app_resample" in figure_table.drawn_by_default(study) for study in (MINIATURE, PAPER)] == [True, False]
    assert jobs.estimated_targets(PAPER)["app_resample"] == {"cuts": ["resample", "figure_4"], "reliance": False}
    assert "resample" in jobs.estimated_targets(MINIATURE)["tables"]["cuts"]
    assert not any("resample" in path for name in ("fig4", "fig5") for path in figure_table.inputs(MINIATURE, name))


def test_single_heads_are_cut_on_request_and_the_strongest_wait_for_their_ranking():
    for study in (MINIATURE, PAPER):
        assert "app_heads" in figure_table.drawable(study) and "app_heads" not in figure_table.drawn_by_default(study)
        assert not any("knockout_head" in path for path in figure_table.tables(study))
        assert set(study.analyses) - set(figure_table.analyses_by_default(study)) == {"heads", "head_sets", "sinks"}
    assert figure_table.inputs(MINIATURE, "app_heads") == MINIATURE.knockout_tables("heads", "head_sets")
    ranked = lambda analysis: jobs.ranked_heads(PAPER, analysis, "qwen2.5-omni-7b", "av_speakerbench")
    folder = "results/paper/knockout/qwen2.5-omni-7b/av_speakerbench/heads"
    assert ranked("head_sets") == [f"{folder}/{n}.parquet" for n in range(5)] and ranked("heads") == []
    assert len(jobs.knockout_shards(PAPER, "head_sets")) == 4 * 5
    (told,) = json.loads(jobs.knockout_cuts(PAPER, "head_sets", "av_speakerbench"))
    assert set(told) == {"routes", "strongest"} and set(told["strongest"]) == {"shares", "draws"}
    settings = json.loads(options(jobs.estimate(PAPER))["settings"])
    assert (
        settings["on_request"] == ["heads", "head_sets", "sinks", "resample", "conflict", "where"]
        and settings["cuts"]["head_sets"]["av_speakerbench"][0]["shards"] == 5
    )
    shipped = Study({**copy.deepcopy(MINIATURE.config), "tables": "shipped"}, ROOT)
    assert not figure_table.FIGURES["app_heads"].missing(shipped), "its tables are shipped"


def test_conflicts_and_sinks_are_drawn_on_request_and_counted_apart():
    assert MINIATURE.mixed == ["mini-video", "mini-graded"] and PAPER.mixed == ["av_speakerbench"]
    assert len(jobs.conflict_shards(PAPER)) == 4 * 5 and len(jobs.conflict_shards(MINIATURE)) == 2 * 2
    told = options(jobs.conflict(MINIATURE, "mini-graded"))
    assert told["routes"] == ["audio->question", "video->question", "audio->last", "video->last"] and told["first"] == "20"
    for study in (MINIATURE, PAPER):
        for name, table in (("app_conflict", "conflict.parquet"), ("app_sinks", "knockout_sinks.parquet")):
            assert name in figure_table.drawable(study) and name not in figure_table.drawn_by_default(study)
            assert study.table(table) in figure_table.inputs(study, name)
            assert study.table(table) not in figure_table.tables(study)
    settings, targets = (json.loads(options(jobs.estimate(PAPER))[name]) for name in ("settings", "targets"))
    assert targets["app_conflict"] == {"cuts": ["conflict"], "reliance": False}
    assert targets["app_sinks"] == {"cuts": ["sinks"], "looks": ["attention"], "reliance": False}
    (budget,) = settings["cuts"]["conflict"]["av_speakerbench"]
    assert budget["shards"] == 5 and budget["directions"] == 2 and budget["routes"][0] == "audio->question"
    none = copy.deepcopy(MINIATURE.config)
    del none["conflict"]
    assert "mixes pictures and sounds in none" in figure_table.FIGURES["app_conflict"].missing(Study(none, ROOT))


def test_times_and_places_are_cut_in_datasets_of_clips_and_counted_apart():
    assert MINIATURE.located == ["mini-video"] and PAPER.located == ["av_speakerbench"]
    assert len(jobs.where_shards(PAPER)) == 4 * 5 and len(jobs.where_shards(MINIATURE)) == 2
    told = options(jobs.where(MINIATURE, "mini-video"))
    assert (
        told["targets"] == ["question", "last"]
        and told["tokens"] == []
        and (told["cells"], told["first"], told["stride"]) == ("64", "20", "2")
    )
    files = figure_table.inputs(MINIATURE, "app_where")
    assert {"results/miniature/tables/where.parquet", "results/miniature/questions/mini-video.jsonl"} < set(files)
    assert "results/miniature/frames/mini-video/omni-56px/0.safetensors" in files
    assert not [path for path in figure_table.inputs(PAPER, "app_where") if "/frames/" in path], "they are not kept"
    settings, targets = (json.loads(options(jobs.estimate(PAPER))[name]) for name in ("settings", "targets"))
    assert targets["app_where"] == {"cuts": ["where"], "reliance": False}
    (budget,) = settings["cuts"]["where"]["av_speakerbench"]
    assert budget["parts"] == {"audio": 16, "video": 144} and budget["rule"] == "where" and len(budget["routes"]) == 4
    none = copy.deepcopy(MINIATURE.config)
    del none["where"]
    assert "cuts times and places in none" in figure_table.FIGURES["app_where"].missing(Study(none, ROOT))
    for dataset in ("items", "mini-items"):
        with pytest.raises(InputError, match=f"where/datasets names '{dataset}', which has no clips; name a dataset of av_video"):
            study(where={"datasets": {dataset: {}}})


def test_claims_about_figures_on_request_wait_until_somebody_asks_for_them(tmp_path):
    config = copy.deepcopy(MINIATURE.config) | {"pathvars": {"results": str(tmp_path)}}
    untouched = Study(config, ROOT)
    left_out = figure_table.unasked_claims(untouched)
    assert len(left_out) > 5 and json.loads(options(jobs.claims(untouched))["without"]) == left_out
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/conflict.parquet").touch()
    assert 0 < len(figure_table.unasked_claims(untouched)) < len(left_out)
    other = copy.deepcopy(config)
    other["studies"]["miniature"]["on_request"] = []
    always = Study(other, ROOT)
    assert figure_table.unasked_claims(always) == [] and "without" not in options(jobs.claims(always))
    more = set(figure_table.claimed_tables(always)) - set(figure_table.claimed_tables(untouched))
    asked = ("conflict", "knockout_sinks", "knockout_heads", "knockout_head_sets", "where")
    assert more == {always.table(f"{name}.parquet") for name in asked}


# What is wrong is one line.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tables": "published"}, "config.yaml: tables is 'published', which is now called 'shipped'; write tables: shipped"),
        (
            {"models": {"tiny-omni": {"repo": "a/b"}}},
            "models/tiny-omni has checkpoint and repo; write exactly one of checkpoint, ",
        ),
        (
            {"datasets": {"mine": {"type": "questions", "setting": "items", "shards": 1}}},
            "datasets/mine/questions_file is missing; Your own questions as JSON Lines.",
        ),
        (
            {"knockout": {"cuts": {"figure_4": {"datasets": {"mini-video": {"questions": "corect"}}}}}},
            "figure_4/datasets/mini-video/questions is 'corect', which cannot be used; Which questions of the knockout split:",
        ),
        ({"studies": {"miniature": {"models": []}}}, "studies/miniature/models is [], an empty list; Names of models below."),
        ({"figures": {"confident": -1}}, "figures/confident is -1, below 0"),
        ({"study": "minature"}, "config.yaml: study names 'minature', which is not defined; defined: miniature, paper, pilot, "),
        ({"sead": 0}, "config.yaml: sead is unknown; known: study, tables, "),
        ({"seed": "x"}, "config.yaml: seed is 'x', not a whole number"),
        ({"models": {"tiny-omni": {"gpus": 2}}}, "config.yaml: models/tiny-omni/gpus is 2, which is unknown; known: 0, 1"),
        ({"studies": {"miniature": {"models": ["tiny-oni"]}}}, "studies/miniature/models names 'tiny-oni', which is not defined"),
        (
            {"studies": {"miniature": {"main_model": "qwen2.5-omni-7b"}}},
            "main_model names 'qwen2.5-omni-7b', which is not defined",
        ),
        ({"studies": {"miniature": {"datasets": ["mine"]}}}, "studies/miniature/datasets names 'mine'"),
        ({"studies": {"miniature": {"video": "worldsense"}}}, "studies/miniature/video and items names 'worldsense'"),
        (
            {"studies": {"miniature": {"items": "mini-graded"}}},
            "items is 'mini-graded', which has another setting; name a dataset of items",
        ),
        ({"studies": {"miniature": {"discards": {"knockout": {"mine": ["*"]}}}}}, "studies/miniature/discards names 'mine'"),
        ({"knockout": {"cuts": {"graded": {"datasets": {"mine": {}}}}}}, "knockout/cuts/graded/datasets names 'mine'"),
        (
            {"attention": {"datasets": {"mine": {}}}},
            "attention/datasets names 'mine', which is not defined; defined: video, items",
        ),
        ({"sufficiency": {"datasets": {"mine": {}}}}, "sufficiency/datasets names 'mine'"),
        ({"sufficiency": {"analyses": ["figure_7"]}}, "sufficiency/analyses names 'figure_7'"),
        ({"models": {"qwen2.5-omni-7b": {"sampling": "all"}}}, "models/qwen2.5-omni-7b/sampling names 'all'"),
        (
            {"models": {"tiny-omni": {"checkpoint": "resources/tiny"}}},
            "models/tiny-omni/checkpoint is 'resources/tiny', which holds no checkpoint (config.json)",
        ),
        (
            {"tables": "shipped", "study": "paper"},
            "tables is 'shipped', but study is 'paper'; only miniature has shipped tables: leave one out",
        ),
        (
            {"knockout": {"cuts": {"windows": {"widths": [1, 2]}}}},
            "cuts/windows/widths/1 is 2, an even number; write an odd one, so that a window has a layer in its middle",
        ),
        (
            {"knockout": {"cuts": {"graded": {"routes": ["audio=>last"]}}}},
            "knockout/cuts/graded/routes/0 is 'audio=>last', which cannot be used; A route is written source->target",
        ),
        (
            {"knockout": {"cuts": {"graded": {"routes": [{"route": "audio->last"}]}}}},
            "knockout/cuts/graded/routes/0 is {'route': 'audio->last'}, not a text; A route is written source->target",
        ),
        ({"resample": {"datasets": {"mine": {}}}}, "resample/datasets names 'mine'"),
        (
            {"knockout": {"cuts": {"head_sets": {"strongest": {"of": "head"}}}}},
            "knockout/cuts/head_sets/strongest/of names 'head', which is not defined",
        ),
        (
            {"knockout": {"cuts": {"head_sets": {"strongest": {"of": "figure_4"}}}}},
            "strongest/of names 'figure_4', which cuts no single heads in mini-video; add `heads`",
        ),
        (
            {"sampling": {"omni-default": {"frames": "even"}}},
            "sampling/omni-default/frames is 'even', which is unknown; known: exact, official",
        ),
        ({"sampling": {"omni-56px": {"rate": "nominal"}}}, "sampling/omni-56px/rate is 'nominal', which has a meaning only with"),
        (
            {"datasets": {"worldsense": {"layout": "eq3"}}},
            "datasets/worldsense/layout is 'eq3', but only datasets of setting items have a layout, and this one is of av_video",
        ),
        (
            {"knockout": {"cuts": {"order_video": {"layouts": ["default", "eq3"]}}}},
            "knockout/cuts/order_video/layouts names 'eq3' for mini-video, but setting av_video has no such order",
        ),
        (
            {"datasets": {"worldsense": {"repo": "no-owner"}}},
            "datasets/worldsense/repo is 'no-owner', which cannot be used; owner/name on the Hugging Face hub",
        ),
    ],
)
def test_a_bad_configuration_is_refused_with_one_line(changes, message):
    with pytest.raises(InputError) as refused:
        study(changes.pop("study", "miniature"), **changes)
    assert message in str(refused.value) and str(refused.value).startswith("config.yaml: ") and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"knockout": {"cuts": {"figure_4": {"routes": ["auido->last"]}}}},
            "knockout/cuts/figure_4/routes has the route auido->last, which names 'auido', but setting av_video has no such"
            " span (did you mean 'audio'?); it has system, delimiter, video, audio,",
        ),
        (
            {"knockout": {"cuts": {"figure_5": {"datasets": {"mini-items": {"routes": ["reference->questoin"]}}}}}},
            "knockout/cuts/figure_5/routes has the route reference->questoin, which names 'questoin', but setting items",
        ),
        (
            {"knockout": {"cuts": {"sinks": {"routes": ["vdeo_sinks->last"]}}}},
            "knockout/cuts/sinks/routes has the route vdeo_sinks->last, which names 'vdeo'",
        ),
        ({"knockout": {"cuts": {"figure_5": {"routes": ["video->last"]}}}}, "names 'video', but setting items has no such span"),
        ({"attention": {"masked": ["vdeo->last"]}}, "attention/masked has the route vdeo->last"),
        ({"attention": {"masked_early": {"routes": ["vdeo->last"]}}}, "attention/masked_early/routes has the route vdeo->last"),
        ({"attention": {"change": {"route": "vdeo->last"}}}, "attention/change/route has the route vdeo->last"),
        ({"resample": {"routes": {"items": ["candidate->last"]}}}, "resample/routes/items has the route candidate->last"),
        ({"conflict": {"routes": ["audio->option_"]}}, "conflict/routes has the route audio->option_"),
        ({"pruning": {"kinds": {"items": {"Ref": {"tokens": "refs"}}}}}, "pruning/kinds/items/Ref/tokens names 'refs'"),
        (
            {"pruning": {"kinds": {"items": {"Ref": {"routes": ["ref->last"]}}}}},
            "pruning/kinds/items/Ref/routes has the route ref",
        ),
        (
            {"spans": {"av_video": {"question": ["question"]}}},
            "spans/av_video/question names 'question', but setting av_video has",
        ),
    ],
)
def test_a_span_that_no_question_has_is_refused_before_anything_runs(changes, said):
    with pytest.raises(InputError) as refused:
        study(**changes)
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_routes_of_analyses_that_the_study_does_not_use_are_not_looked_at():
    unused = {"knockout": {"cuts": {"figure_5": {"routes": ["auido->last"]}}}}
    assert alone(CLIPS, **unused).analyses and "figure_5" not in alone(CLIPS, **unused).analyses


def test_discards_need_the_studys_own_dataset_of_the_setting():
    with pytest.raises(
        InputError,
        match=r"names 'mini-fresh', of setting av_video, but not the study's own dataset of that setting \(mini-video\)",
    ):
        alone(CLIPS | {"discards": {"cross_dataset": {"mini-fresh": ["hear"]}}})


def test_a_setting_needs_spans_and_kinds():
    for key, message in (
        ("spans", "datasets (their setting) names 'items'"),
        ("pruning", "pruning/kinds (for discards) names 'items'"),
    ):
        config = copy.deepcopy(CONFIG)
        del (config["spans"] if key == "spans" else config["pruning"]["kinds"])["items"]
        with pytest.raises(InputError) as refused:
            Study(config, ROOT)
        assert message in str(refused.value)


def test_pins_that_are_missing_or_of_another_repository_name_the_remedy(tmp_path, monkeypatch):
    paper = study("paper", folder=tmp_path)
    assert jobs.pin(paper, "worldsense") == f"{ROOT}/resources/pins/worldsense.json", "the repository's, in another folder"
    monkeypatch.setattr("avflow.places.REPOSITORY", tmp_path / "repository")
    with pytest.raises(InputError, match="worldsense.json is missing; run: snakemake pin --config study=paper"):
        jobs.pin(paper, "worldsense")
    (tmp_path / "resources/pins").mkdir(parents=True)
    (tmp_path / "resources/pins/worldsense.json").write_text(json.dumps({"repo": "owner/other"}))
    with pytest.raises(InputError, match="pins owner/other, but config.yaml names honglyhly/WorldSense; run: snakemake pin"):
        jobs.pin(paper, "worldsense")
    monkeypatch.undo()
    assert jobs.pin(PAPER, "worldsense") == "resources/pins/worldsense.json"


def test_results_that_cannot_be_written_stop_before_anything_runs(tmp_path, monkeypatch):
    study(folder=ROOT).check_writable()
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(InputError, match=r"results/miniature cannot be written \(read-only disk, or permissions of "):
        MINIATURE.check_writable()


def test_a_file_that_is_no_configuration_is_named(tmp_path):
    with pytest.raises(InputError, match="none.yaml cannot be read: .*No such file"):
        Study.read(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("study: [\n")
    with pytest.raises(InputError, match="bad.yaml cannot be read: ") as refused:
        Study.read(tmp_path / "bad.yaml")
    assert "\n" not in str(refused.value)


# What the modules are made of.


def test_every_type_of_dataset_has_a_reader():
    types = SCHEMA["properties"]["datasets"]["additionalProperties"]["properties"]["type"]["enum"]
    assert set(readers.MODULES) == set(types)
    assert all((SCRIPTS / f"avflow/{name.replace('.', '/')}.py").is_file() for name in readers.MODULES.values())


def test_the_tests_configurations_are_valid():
    for name in ("small", "paper", "gpus"):
        changes = yaml.safe_load((ROOT / f"tests/{name}.yaml").read_text())
        config = merged(copy.deepcopy(CONFIG), changes)
        check_schema(config)
        assert changes and changes.keys() <= SCHEMA["properties"].keys() and config != CONFIG


def test_a_study_is_read_without_loading_anything_heavy():
    code = "import sys; from avflow import figure_table, jobs; from avflow.questions import readers; "
    code += "from avflow.study import Study; Study.read('config.yaml');"
    code += "print(sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={"PYTHONPATH": str(SCRIPTS)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert not {"torch", "numpy", "pandas", "pyarrow", "matplotlib", "snakemake", "av"} & set(eval(done.stdout))


def test_rule_files_stay_short_enough_to_read():
    most = {"common.smk": 80, "figures.smk": 340}
    for path in (ROOT / "rules").glob("*.smk"):
        assert len(path.read_text().splitlines()) <= most.get(path.name, 200), path.name
