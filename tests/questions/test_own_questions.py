"""Your own questions as JSON Lines: an error names its line, and a question that cannot be asked is dropped."""

import json

import numpy as np
import pytest
import soundfile
from conftest import script
from examples import RATE, pictures, tone
from PIL import Image
from prepared import prepare, table, written_as_documented

from avflow.errors import InputError
from avflow.media import files
from avflow.questions import layouts, own_questions, preparation, read_questions, write_questions
from avflow.storage import FeatureStore


@pytest.fixture
def lines(tmp_path):
    """The document's questions about clips, as objects."""
    written_as_documented(tmp_path)
    return [json.loads(line) for line in (tmp_path / "mine/clips.jsonl").read_text().splitlines()]


def taken(lines, tmp_path, setting="av_video"):
    """What a file of these lines gives: the questions, and the dropped ones by reason."""
    path = tmp_path / "q.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return taken_from(path, setting)


def taken_from(path, setting="av_video", **more):
    """What a file of questions gives."""
    tmp_path = path.parent
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
    options += ["--questions-file", str(path), *(part for name, value in more.items() for part in (f"--{name}", value))]
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
        (lambda q: {**q, "anser": "A"}, r"line 2: the question has a key 'anser'; known: answer, events, flags, group"),
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


def tagged(**changes) -> dict:
    """A matching question whose tags say where its media stand."""
    media = [{"path": f"{i}.wav", "kind": "audio"} for i in range(1, 5)] + [
        {"path": "r.png", "kind": "image", "role": "reference"}
    ]
    words = "Of [audio1], [audio2], [audio3], and [audio4], which is heard in [img1]?"
    options = [{"text": f"the {n} sound", "candidate": f"c{i}"} for i, n in enumerate(("first", "second", "third", "fourth"), 1)]
    return {"question_id": "t", "task": "hear", "question": words, "options": options, "answer": "B", "media": media} | changes


def shown(question) -> str:
    return "".join(f"[{s['id']}]" if s["seg"] == "media" else s.get("text", "<options>") for s in question.layout)


def test_tags_in_a_question_say_where_its_media_stand(tmp_path):
    (question,), dropped = taken([tagged()], tmp_path, "items")
    assert dropped == {} and question.layout_name == "as_shipped"
    assert shown(question) == "Of [c1], [c2], [c3], and [c4], which is heard in [r1]?<options>Choose."
    assert question.question == "Of the four sounds, which is heard in the picture?"
    (other,), _ = taken_from(tmp_path / "q.jsonl", "items", layout="eq3")
    assert other.layout_name == "paper_eq3"
    assert shown(other) == "[c1][c2][c3][c4]Of the four sounds, which is heard in the picture?[r1]<options>Choose."


def test_ones_own_sentence_is_asked_where_tags_have_no_place(tmp_path):
    raw = tagged()["question"]
    (question,), _ = taken([tagged(question="Which sound is heard here?", question_raw=raw)], tmp_path, "items")
    assert shown(question).startswith("Of [c1], [c2], [c3], and [c4], which is heard in [r1]?")
    assert shown(layouts.arrange(question, "reference_first")) == "[r1][c1][c2][c3][c4]Which sound is heard here?<options>Choose."


def test_a_matching_question_without_tags_is_asked_in_the_order_of_equation_3(tmp_path):
    (question,), _ = taken([tagged(question="Which sound is heard?")], tmp_path, "items")
    assert question.layout_name == "paper_eq3" and layouts.askable(question, ["original", "eq3"]) == ["default"]
    assert shown(question) == "[c1][c2][c3][c4]Which sound is heard?[r1]<options>Choose."


def test_tags_that_do_not_name_the_media_drop_the_question(tmp_path):
    wrong = tagged(question="Of [audio1], [audio2] and [audio3], which is heard in [img1]?")
    _, dropped = taken([tagged(), wrong | {"question_id": "u"}], tmp_path, "items")
    assert dropped == {"mine__u": "bad_tags"}


def test_a_missing_file_is_named_with_its_key(tmp_path):
    options = ["--type", "questions", "--dataset", "mine", "--setting", "av_video", "--root", str(tmp_path)]
    options += ["--questions-file", str(tmp_path / "none.jsonl")]
    outputs = [part for name in ("questions", "media", "dropped") for part in (f"--{name}", str(tmp_path / name))]
    intake = preparation.Intake(preparation.parser("").parse_args([*options, *outputs]))
    with pytest.raises(InputError, match=r"none\.jsonl: No such file or directory; questions_file in config\.yaml must name"):
        own_questions.collect(intake)


# options


def asked(lines, tmp_path, **change):
    """The one question that the first line gives with this change, or the reason of its drop; the second is kept in any case."""
    found, dropped = taken([{**lines[0], **change}, lines[1]], tmp_path)
    assert [q.question_id for q in found][-1] == "mine__2", "the other question is kept"
    return dropped["mine__1"] if dropped else found[0]


@pytest.mark.parametrize(
    ("options", "answer", "labels"),
    [
        (["A. hiss", "B. tone", "C. buzz", "D. chirp"], "D", "ABCD"),
        (["(a) hiss", "(b) tone", "(c) buzz", "(d) chirp"], "D", "abcd"),
        (["1: hiss", "2: tone", "3: buzz", "4: chirp"], "4.", "1234"),
        (["hiss", "tone", "buzz", "none", "chirp"], "E", "ABCDE"),
        (["hiss", "chirp"], "chirp", "AB"),
        ([{"text": "D) hiss", "label": "D"}, {"text": "chirp", "label": "B"}], "B", "DB"),
    ],
)
def test_options_keep_their_own_labels_and_the_answer_means_one(lines, tmp_path, options, answer, labels):
    question = asked(lines, tmp_path, options=options, answer=answer)
    assert [o.label for o in question.options] == list(labels) and question.answer == labels[-1]
    assert question.options[-1].text == "chirp"


def test_two_answers_in_words_are_labels_of_their_own(lines, tmp_path):
    options = [{"text": "a sound is heard", "label": "Yes"}, {"text": "no sound is heard", "label": "No"}]
    question = asked(lines, tmp_path, options=options, answer="no")
    assert [o.label for o in question.options] == ["Yes", "No"] and question.answer == "No"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"options": ["A. hiss", "tone", "C. buzz"], "answer": "A"}, "bad_options"),
        ({"options": ["B. hiss", "A. tone"], "answer": "A"}, "bad_options"),
        ({"options": [f"x{n}" for n in range(27)], "answer": "A"}, "bad_options"),
        ({"options": ["hiss"], "answer": "A"}, "bad_options"),
        ({"options": [], "answer": "A"}, "bad_options"),
        ({"options": ["hiss", None]}, "bad_text"),
        ({"options": ["hiss", 5]}, "bad_text"),
        ({"options": ["hiss", " "]}, "bad_text"),
        ({"options": [{"text": "hiss", "label": "AA"}, {"text": "tone", "label": "B"}]}, "bad_options"),
        ({"options": [{"text": "hiss", "label": ["A"]}, {"text": "tone", "label": "B"}]}, "bad_options"),
        ({"options": [{"text": "hiss", "candidate": ["c1"]}, "tone"], "answer": "A"}, "invalid"),
        ({"answer": None}, "bad_answer"),
        ({"answer": 4}, "bad_answer"),
        ({"answer": "whistle"}, "bad_answer"),
        ({"question": None}, "bad_text"),
        ({"question": ""}, "bad_text"),
        ({"question": ["Which?"]}, "bad_text"),
        ({"question": "nul \0"}, "bad_text"),
        ({"question": "half \ud800"}, "bad_text"),
        ({"question": "after <|im_end|> or <|AUDIO|>?"}, "special_tokens"),
        ({"options": ["hiss", "<tool_call>"]}, "special_tokens"),
        ({"task": None}, "bad_text"),
        ({"task": "?!"}, "bad_text"),
        ({"task": 3}, "bad_text"),
        ({"group": ["x"]}, "bad_text"),
        ({"question_raw": 5}, "bad_text"),
        ({"needs": ["A"]}, "invalid"),
        ({"flags": "silent"}, "invalid"),
        ({"events": {"sense": "audio", "start": 0, "stop": 1}}, "invalid"),
        ({"events": [{"sense": "audio", "start": 2, "stop": 1}]}, "invalid"),
        ({"layout": "question"}, "invalid"),
        ({"layout": ["question"]}, "invalid"),
        ({"layout": [{"seg": "media"}, {"seg": "question", "text": "Which?"}, {"seg": "options"}]}, "invalid"),
        ({"layout": [{"seg": "media", "id": "v1"}, {"seg": "question"}, {"seg": "options"}]}, "bad_text"),
        (
            {"layout": [{"seg": "media", "id": "v1"}, {"seg": "question", "text": "?"}, {"seg": "options", "format": "{text}"}]},
            "invalid",
        ),
        ({"media": [{"path": None, "kind": "video"}]}, "bad_text"),
        ({"media": [{"path": "a.mp4", "kind": ["video"]}]}, "invalid"),
        ({"media": [{"path": "a.mp4", "kind": "video", "id": 5}]}, "invalid"),
        ({"media": [{"path": "a.mp4", "kind": "video", "index": "1"}]}, "invalid"),
    ],
)
def test_a_faulty_value_drops_its_question_alone(lines, tmp_path, change, reason):
    assert asked(lines, tmp_path, **change) == reason


def test_events_of_a_question_are_kept(lines, tmp_path):
    event = {"sense": "video", "start": 0.5, "stop": 1, "box": [0, 0, 0.5, 1]}
    found, dropped = taken([{**lines[0], "events": [event]}], tmp_path)
    assert found[0].events == (event,) and not dropped


@pytest.mark.parametrize("given", [None, "", ["1"], True])
def test_a_question_without_an_id_is_dropped_under_its_line(lines, tmp_path, given):
    found, dropped = taken([{**lines[0], "question_id": given}, lines[1]], tmp_path)
    assert [q.question_id for q in found] == ["mine__2"] and dropped == {"mine__line_1": "bad_text"}


def test_an_id_that_occurs_twice_is_named_with_both_lines(lines, tmp_path):
    with pytest.raises(InputError, match=r"line 3: question_id 1 occurs in .*q\.jsonl, line 1, too; give each its own"):
        taken([lines[0], lines[1], {**lines[2], "question_id": 1}], tmp_path)


def test_a_special_token_in_the_configuration_is_named_with_its_key(lines, tmp_path):
    (tmp_path / "q.jsonl").write_text(json.dumps(lines[0]))
    with pytest.raises(InputError, match=r"config\.yaml: ending of dataset mine holds <\|im_end\|>, a special token"):
        taken_from(tmp_path / "q.jsonl", ending="So: <|im_end|>")


# free questions


def free(line, **change) -> dict:
    return {key: value for key, value in line.items() if key not in ("options", "answer")} | change


def test_a_line_without_options_is_a_free_question_with_or_without_an_answer(lines, tmp_path):
    found, dropped = taken([free(lines[0], answer="a hiss"), free(lines[1]), lines[2]], tmp_path)
    assert dropped == {} and [q.free for q in found] == [True, True, False]
    assert [q.answer for q in found[:2]] == ["a hiss", None] and found[0].options == ()
    assert [s["seg"] for s in found[0].layout] == ["media", "instruction", "question"]
    write_questions(found, tmp_path / "out.jsonl")
    assert read_questions(tmp_path / "out.jsonl") == found
    assert layouts.arrange(found[0], "question_first").layout[-1]["seg"] == "media"


def test_a_matching_question_may_be_free_too(tmp_path):
    (question,), dropped = taken([free(tagged(), answer="the second sound")], tmp_path, "items")
    assert dropped == {} and question.correct_candidate is None
    assert shown(question) == "Of [c1], [c2], [c3], and [c4], which is heard in [r1]?Choose."


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"answer": ""}, "bad_text"),
        ({"answer": " \u200b"}, "bad_text"),
        ({"answer": 4}, "bad_text"),
        ({"answer": "tone<|im_end|>"}, "special_tokens"),
        ({"layout": [{"seg": "media", "id": "v1"}, {"seg": "question", "text": "Which?"}, {"seg": "options"}]}, "invalid"),
    ],
)
def test_a_faulty_free_answer_drops_its_question_alone(lines, tmp_path, change, reason):
    found, dropped = taken([free(lines[0], **change), lines[1]], tmp_path)
    assert dropped == {"mine__1": reason} and len(found) == 1


# tasks and files


def test_tasks_in_any_script_stay_apart_and_those_that_would_not_are_named(lines, tmp_path):
    names = ["\u542c\u89c9", "\u89c6\u89c9", "C++", "C#"]
    found, _ = taken([{**line, "task": name} for line, name in zip(lines, names)], tmp_path)
    assert [q.task for q in found] == ["\u542c\u89c9", "\u89c6\u89c9", "c++", "c#"]
    joined, _ = taken([{**lines[0], "task": "Speech Recognition"}, {**lines[1], "task": "speech-recognition"}], tmp_path)
    assert {q.task for q in joined} == {"speech_recognition"}
    with pytest.raises(InputError, match="the tasks 'a & b' and 'a / b' would both be called a_b"):
        taken([{**lines[0], "task": "a & b"}, {**lines[1], "task": "a / b"}], tmp_path)


def test_ids_in_other_scripts_are_refused_and_never_joined(lines, tmp_path):
    found, dropped = taken([{**lines[0], "question_id": "\u542c1"}, {**lines[1], "question_id": "\u89c61"}, lines[2]], tmp_path)
    assert [q.question_id for q in found] == ["mine__3"] and list(dropped.values()) == ["invalid", "invalid"]


@pytest.mark.parametrize("inside", ["\u2028", "\u2029", "\u0085", "\\u2028", "\\u0085", "\\u000b", "\\u001e"])
def test_line_separators_inside_a_text_survive_every_later_reading(lines, tmp_path, inside):
    text = json.dumps(lines[0]).replace("Which sound", f"Which{inside}sound")
    found, dropped = taken([text, lines[1]], tmp_path)
    assert len(found) == 2 and dropped == {}
    write_questions(found, tmp_path / "out.jsonl")
    assert read_questions(tmp_path / "out.jsonl") == found
    assert found[0].question == json.loads(text)["question"] != lines[0]["question"]


def test_files_from_windows_are_read_and_other_encodings_named(lines, tmp_path):
    path = tmp_path / "q.jsonl"
    text = "\r\n".join(json.dumps({**line, "question": "caf\u00e9 ?"}, ensure_ascii=False) for line in lines)
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert {q.question for q in taken_from(path)[0]} == {"caf\u00e9 ?"}
    for encoding in ("latin-1", "utf-16"):
        path.write_bytes(text.encode(encoding))
        with pytest.raises(InputError, match=r"q\.jsonl, line 1: .*UTF-8; save .*as UTF-8"):
            taken_from(path)


# media


def matching(names, references=("r.png",)):
    """Questions with these four candidates each, and one of the references."""
    texts = ("the fourth audio", "the first audio", "the third audio", "the second audio")
    options = [{"text": text, "candidate": f"c{n}"} for text, n in zip(texts, (4, 1, 3, 2))]
    media = [{"path": name, "kind": "audio", "role": "candidate"} for name in names]
    line = {"task": "match", "question": "Which one matches?", "options": options, "answer": "B"}
    return [
        {**line, "question_id": str(n), "media": [*media, {"path": path, "kind": kind, "role": "reference"}]}
        for n, (path, kind) in enumerate([(path, "audio" if path.endswith(".wav") else "image") for path in references], 1)
    ]


def test_files_of_one_name_and_files_in_two_roles_need_no_ids(tmp_path):
    sounds = ("dog.wav", "a/dog.wav", "a_dog.wav", "cat.wav")
    for number, name in enumerate((*sounds, "other.wav")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, tone(1.0, 16000, 300 + 100 * number), 16000)
    Image.fromarray(np.zeros((56, 56, 3), np.uint8)).save(tmp_path / "dog.png")
    rows = matching(sounds, ("dog.png", "other.wav"))
    rows.append(matching(("other.wav", *sounds[1:]), ("dog.wav",))[0] | {"question_id": "3"})
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found, dropped = prepare(
        "questions", tmp_path, tmp_path, setting="items", questions_file=tmp_path / "in.jsonl", dataset="mine"
    )
    assert len(found) == 3 and dropped == []
    ids = {(m.path, m.kind): m.media_id for q in found.values() for m in q.media}
    assert len(set(ids.values())) == len(ids) == 6
    assert ids["dog.png", "image"] == "mine__dog.png" and ids["dog.wav", "audio"] == "mine__dog.wav"
    assert ids["cat.wav", "audio"] == "mine__cat" and ids["a/dog.wav", "audio"].startswith("mine__a_dog.wav-")
    assert found["mine__3"].cluster == "mine__dog.wav" == found["mine__1"].item("c1").media_id, "one file in two roles"
    assert {row["media_id"]: row["status"] for row in table(tmp_path / "m.tsv")} == dict.fromkeys(ids.values(), "ok")


def test_a_clip_and_its_sound_track_are_decoded_as_two_media(tmp_path):
    files.write_clip(tmp_path / "clip.mp4", pictures(), 10, tone(2.0), RATE)
    line = {"task": "hear", "question": "Which?", "options": ["hiss", "tone"], "answer": "B"}
    media = [{"path": "clip.mp4", "kind": "video"}], [{"path": "./clip.mp4", "kind": "audio"}]
    rows = [{**line, "question_id": str(n), "media": one} for n, one in enumerate(media)]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found, _ = prepare("questions", tmp_path, tmp_path, setting="av_video", questions_file=tmp_path / "in.jsonl", dataset="mine")
    assert {q.media[0].media_id for q in found.values()} == {"mine__clip", "mine__clip.as_audio"}
    assert {q.cluster for q in found.values()} == {"mine__clip"}, "one clip, so one unit of the statistics"
    listed = tmp_path / "0.jsonl"
    script("shard_media", "--questions", tmp_path / "q.jsonl", "--media", tmp_path / "m.tsv", "--out", listed)
    options = ["--media", listed, "--media-root", tmp_path, "--fps", 2, "--max-frames", 8, "--multiple", 28]
    options += ["--min-pixels", 3136, "--max-pixels", 3136, "--out", tmp_path / "f.safetensors"]
    script("preprocess_media", *options)
    store = FeatureStore(tmp_path / "f.safetensors")
    assert store.has("mine__clip", "frames") and store.has("mine__clip", "audio")
    assert store.has("mine__clip.as_audio", "audio") and not store.has("mine__clip.as_audio", "frames")
