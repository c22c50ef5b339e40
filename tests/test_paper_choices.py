"""What config.yaml chooses for the paper's study is what the paper states."""

import fnmatch

import pytest
import yaml
from conftest import ROOT, UNIONS

from avflow.results import published
from avflow.study import Study

CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
PAPER = Study.read(ROOT / "config.yaml", study="paper")
TASKS = {  # AV-SpeakerBench's task_id in lower case with underscores -> the paper's category in the knockouts, None: in none
    "speaker_detection": "speaker_detection",
    "speaker_recognition": "speaker_recognition",
    "speech_recognition": "speech_recognition",
    "speech_duration": "speech_attributes",
    "speech_pitch": "speech_attributes",
    "speech_rate": "speech_attributes",
    "speech_intensity": "speech_attributes",
    "activity_recognition": "visual_recognition",
    "attribute_recognition": "visual_recognition",
    "speaker_counting": None,
    "speech_counting": None,
    "visual_counting": None,
}


def fits(task, patterns):
    return any(fnmatch.fnmatchcase(task, pattern) for pattern in patterns)


def test_the_twelve_tasks_are_those_of_the_published_list():
    known = published.read(ROOT / "resources/published/tasks.csv")
    patterns = known.loc[(known["dataset"] == "av_speakerbench") & ~known["task"].isin(["all", "knockout"]), "task"]
    assert sorted(sum(fits(task, [pattern]) for task in TASKS) for pattern in patterns) == [1] * 12


def test_every_model_of_the_paper_is_cut_in_windows_of_seven_layers():
    assert PAPER.windows == dict.fromkeys(PAPER.models, 7) and len(PAPER.windows) == 4


@pytest.mark.parametrize("task", TASKS)
def test_a_task_is_in_the_papers_group_of_tasks(task):
    groups = [name for name, patterns in PAPER.dataset("av_speakerbench")["groups"].items() if fits(task, patterns)]
    category = TASKS[task]
    assert groups == ([category] if category not in (None, task) else []), "a task of no group is its own"


@pytest.mark.parametrize("task", TASKS)
def test_the_tasks_that_are_cut_are_the_papers_and_counting_is_not_among_them(task):
    assert fits(task, PAPER.dataset("av_speakerbench")["knockout_tasks"]) == (TASKS[task] is not None)


def test_the_tasks_of_table_4_across_tasks_are_cut_in_no_knockout():
    for dataset, across in PAPER.discards["cross_task"].items():
        cut = PAPER.dataset(dataset)["knockout_tasks"]
        assert across and not [task for task in across if fits(task, cut)]


def test_the_question_is_the_whole_user_block_with_its_tail_and_the_tests_ask_it_so():
    """Of the text behind the media, only the last token is outside, so no other token can serve as a bypass."""
    assert set(CONFIG["spans"]["av_video"]["question"]) == {"instruction", "question_text", "options", "tail"}
    assert set(CONFIG["spans"]["items"]["question"]) == {"instruction", "question_text"}
    assert {setting: set(CONFIG["spans"][setting]["question"]) for setting in UNIONS} == {
        setting: set(unions["question"]) for setting, unions in UNIONS.items()
    }


def test_the_analysis_without_renormalisation_asks_for_it():
    analysis = "value_zero"
    datasets = [dataset for dataset in Study.read(ROOT / "config.yaml").cut_in(analysis)]
    assert datasets == ["mini-video"] and PAPER.cut_in(analysis) == ["av_speakerbench"]
    for study, dataset in ((PAPER, "av_speakerbench"), (Study.read(ROOT / "config.yaml"), "mini-video")):
        assert [budget["value_zero"] for budget in study.budgets(analysis, dataset)] == [True]
