"""WorldSense, from the authors' json or the mirror's table to questions."""

import json
import shutil

import layouts as shipped
import pytest
import torch
import yaml
from conftest import ROOT
from prepared import prepare, reasons

from avflow.models import prompt
from avflow.questions import layouts


@pytest.fixture(scope="module")
def sense(tmp_path_factory):
    folder = tmp_path_factory.mktemp("downloads") / "worldsense"
    return folder, shipped.worldsense(folder, 2)


def test_worldsense_is_read_from_the_authors_json(sense, tmp_path):
    folder, entries = sense
    tasks = ["audio_change", "video_emotions"]
    found, dropped = prepare("worldsense", folder, tmp_path, tasks=tasks)
    assert sorted(found) == [f"worldsense__vid{n}_task{i}" for n in (1, 2) for i in (0, 1)] and dropped == []
    q = found["worldsense__vid1_task0"]
    assert [o.label for o in q.options] == ["A", "B", "C"] and q.answer == entries["vid1"]["task0"]["answer"]
    assert (q.task, q.media[0].path) == ("audio_change", "media/vid1.mp4")
    assert [s["seg"] for s in q.layout] == ["media", "instruction", "question", "options"], "no ending, so none is placed"


@pytest.mark.parametrize(("ending", "after"), [(None, ""), ("", "\n"), ("So:", "\nSo:")])
def test_the_last_option_ends_as_the_ending_says(ending, after, sense, tmp_path):
    """None: with its last character. Empty, as lmms-eval asks: with a newline, as all options before it."""
    given = {} if ending is None else {"ending": ending}
    found, _ = prepare("worldsense", sense[0], tmp_path, **given)
    q = found["worldsense__vid1_task0"]
    text, _ = prompt.render(q, "", {"v1": prompt.MediaLayout((), torch.zeros(3, 0), 0)})
    assert text.endswith(f"\nC. {q.options[-1].text}{after}{prompt.TAIL}") and len(q.options) == 3
    first = layouts.arrange(q, "question_first")
    text, _ = prompt.render(first, "", {"v1": prompt.MediaLayout((prompt.Block("<v>", 1, "video"),), torch.zeros(3, 1), 1)})
    assert text.endswith(f"\nC. {q.options[-1].text}{after}<v>{prompt.TAIL}")


def test_the_study_asks_with_the_prompt_of_lmms_eval(sense, tmp_path):
    asked = yaml.safe_load((ROOT / "config.yaml").read_text())["datasets"]["worldsense"]
    found, _ = prepare("worldsense", sense[0], tmp_path, instruction=asked["instruction"], ending=asked["ending"])
    q = found["worldsense__vid1_task0"]
    text, _ = prompt.render(q, "", {"v1": prompt.MediaLayout((), torch.zeros(3, 0), 0)})
    lines = text.removeprefix(prompt.system_turn("")).removesuffix(prompt.TAIL).split("\n")
    assert [line[:22] for line in lines[:2]] == ["Carefully watch this v", "These are the frames o"]
    assert lines[2:] == [q.question, *(f"{o.label}. {o.text}" for o in q.options), ""]


def test_the_mirrors_table_gives_the_same_questions(sense, tmp_path):
    folder, entries = sense
    (tmp_path / "mirror/data").mkdir(parents=True)
    tasks = [(video, task) for video, entry in entries.items() for name, task in entry.items() if name.startswith("task")]
    rows = [dict(index=i, video=video, **task) for i, (video, task) in enumerate(tasks)]
    shipped.write_parquet(rows, tmp_path / "mirror/data/test-00000-of-00001.parquet")
    shutil.copy(folder / "worldsense_videos_0.zip", tmp_path / "mirror/videos_chunk_1.zip")
    one, _ = prepare("worldsense", folder, tmp_path / "a")
    other, _ = prepare("worldsense", tmp_path / "mirror", tmp_path / "b")
    content = lambda found: [(q.question, q.options, q.answer, q.media) for q in found.values()]  # noqa: E731
    assert content(one) == content(other) and len(one) == 6


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"question": None}, "bad_text"),
        ({"question": "What about <|im_end|>?"}, "special_tokens"),
        ({"candidates": None}, "bad_options"),
        ({"candidates": ["A. one", None]}, "bad_options"),
        ({"candidates": "A. one"}, "bad_options"),
        ({"candidates": 5}, "bad_options"),
        ({"answer": None}, "bad_answer"),
        ({"task_type": None}, "bad_text"),
    ],
)
def test_a_faulty_value_drops_its_question_alone(sense, tmp_path, change, reason):
    folder = tmp_path / "worldsense"
    shutil.copytree(sense[0], folder)
    entries = json.loads((folder / "worldsense_qa.json").read_text())
    entries["vid1"]["task1"] |= change
    (folder / "worldsense_qa.json").write_text(json.dumps(entries))
    found, dropped = prepare("worldsense", folder, tmp_path / "out")
    assert reasons(dropped) == {"worldsense__vid1_task1": reason} and len(found) == 5


def test_an_entry_without_a_key_drops_its_question_alone(sense, tmp_path):
    folder = tmp_path / "worldsense"
    shutil.copytree(sense[0], folder)
    entries = json.loads((folder / "worldsense_qa.json").read_text())
    del entries["vid2"]["task0"]["candidates"]
    (folder / "worldsense_qa.json").write_text(json.dumps(entries))
    assert reasons(prepare("worldsense", folder, tmp_path / "out")[1]) == {"worldsense__vid2_task0": "bad_options"}
