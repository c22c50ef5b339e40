"""Your own questions as JSON Lines: an error names its line, and a question that cannot be asked is dropped."""

import json

import pytest
from prepared import written_as_documented

from avflow.errors import InputError
from avflow.questions import own_questions, preparation


@pytest.fixture
def lines(tmp_path):
    """The document's questions about clips, as objects."""
    written_as_documented(tmp_path)
    return [json.loads(line) for line in (tmp_path / "mine/clips.jsonl").read_text().splitlines()]


def taken(lines, tmp_path, setting="av_video"):
    """What a file of these lines gives: the questions, and the dropped ones by reason."""
    path = tmp_path / "q.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    options = [
        "--type",
        "questions",
        "--dataset",
        "mine",
        "--setting",
        setting,
        "--root",
        str(tmp_path),
        "--instruction",
        "Choose.",
    ]
    options += ["--questions-file", str(path)]
    outputs = [part for name in ("questions", "media", "dropped") for part in (f"--{name}", str(tmp_path / name))]
    intake = preparation.Intake(preparation.parser("").parse_args([*options, *outputs]))
    own_questions.collect(intake)
    return intake.questions, {d.question_id: d.reason for d in intake.dropped}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda q: "{", r"q\.jsonl, line 2: not JSON \(.*\); write one object per line"),
        (lambda q: "[]", r"q\.jsonl, line 2: found list instead of an object"),
        (
            lambda q: {k: v for k, v in q.items() if k != "answer"},
            r"line 2: the question has no answer; needed: answer, media, options,",
        ),
        (lambda q: {**q, "anser": "A"}, r"line 2: the question has a key 'anser'; known: answer, flags, group"),
        (
            lambda q: {**q, "media": [{"file": "a.mp4", "kind": "video"}]},
            r"line 2: an entry of media has no path; needed: kind, path",
        ),
        (lambda q: {**q, "options": "A, B"}, r"line 2: options is not a list; write a list"),
        (
            lambda q: {**q, "media": [{**q["media"][0], "role": "clip"}]},
            r"line 2: role 'clip' of single_0001\.mp4 is unknown; known: video,",
        ),
        (lambda q: {**q, "layout_name": "original"}, r"line 2: layout_name 'original' is the name of a built-in order"),
    ],
)
def test_a_mistake_in_a_line_is_named_with_its_line(lines, tmp_path, change, message):
    with pytest.raises(InputError, match=message) as caught:
        taken([lines[0], change(lines[1]), *lines[2:]], tmp_path)
    assert "\n" not in str(caught.value)


def test_questions_that_cannot_be_asked_are_dropped_and_the_others_kept(lines, tmp_path):
    lines[0]["answer"] = "E"
    lines[1]["options"] = ["circle", "circle", "cross"]
    lines[2]["media"][0]["kind"] = "film"
    found, dropped = taken(lines, tmp_path)
    assert [q.question_id for q in found] == ["mine__4"]
    assert dropped == {"mine__1": "bad_answer", "mine__2": "same_options", "mine__3": "invalid"}


def test_a_layout_of_ones_own_is_taken_as_it_is(lines, tmp_path):
    layout = [{"seg": "question", "text": "Which?"}, {"seg": "options"}, {"seg": "media", "id": "v1"}]
    (question, *_), _ = taken([{**lines[0], "layout": layout}], tmp_path)
    assert question.layout == tuple(layout) and question.layout_name == "own"
    assert question.media[0].media_id == "mine__single_0001" and question.group == "hear"


def test_a_missing_file_is_named_with_its_key(tmp_path):
    options = ["--type", "questions", "--dataset", "mine", "--setting", "av_video", "--root", str(tmp_path)]
    options += ["--questions-file", str(tmp_path / "none.jsonl")]
    outputs = [part for name in ("questions", "media", "dropped") for part in (f"--{name}", str(tmp_path / name))]
    intake = preparation.Intake(preparation.parser("").parse_args([*options, *outputs]))
    with pytest.raises(InputError, match=r"none\.jsonl: No such file or directory; questions_file in config\.yaml must name"):
        own_questions.collect(intake)
