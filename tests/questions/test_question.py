"""Questions: invalid ones are refused with one line that names them; fields follow from a benchmark's rows.

Also tests avflow.questions.benchmark_rows.
"""

from dataclasses import replace

import pytest
from examples import ITEMS, items, video

from avflow.errors import InputError
from avflow.questions import question


def test_an_answer_that_is_not_among_the_options_is_refused():
    with pytest.raises(InputError, match=r"mini_video__7: answer 'C' is not among its options \['A', 'B'\]; correct it or drop"):
        video(answer="C")
    with pytest.raises(InputError, match="answer 'E' is not among"):
        items(answer="E")


@pytest.mark.parametrize(
    ("make", "changes", "message"),
    [
        (video, {"choices": "['circle', 'square']"}, "do not all begin with a letter"),
        (video, {"choices": "circle"}, "are not a list"),
        (video, {"choices": "['A. circle', 'B. circle']"}, "two options have the same text"),
        (video, {"question_id": "a/b"}, "not filename-safe"),
        (items, {"options": ["A. the dog", *ITEMS["options"][1:]]}, "names no candidate such as 'the third audio'"),
        (items, {"options": ["A. the first audio", *ITEMS["options"][1:]]}, "two options have the same text"),
        (items, {"audio_path": ITEMS["audio_path"][:3]}, "needs one reference and four candidates"),
        (
            video,
            {"events": '[{"sense": "smell", "start": 0, "stop": 1}]'},
            "event {'sense': 'smell', 'start': 0, 'stop': 1} is not",
        ),
        (video, {"events": '[{"sense": "audio", "start": 1, "stop": 1}]'}, 'is not like {"sense": "audio", "start": 2.0'),
        (items, {"question": "Which of [audio1] [audio2] [audio3] fits [img1]?"}, "do not name its media one to one"),
    ],
)
def test_bad_rows_are_refused_with_the_reason(make, changes, message):
    with pytest.raises(InputError, match=message):
        make(**changes)


def test_the_correct_candidate_is_the_one_that_the_options_ordinal_names():
    q = items()
    assert (q.answer, q.correct_candidate, q.group) == ("A", "c3", "I2A")
    assert [m.role for m in q.media] == ["candidate"] * 4 + ["reference"]


def test_matching_questions_are_asked_as_shipped_with_media_where_their_tags_stand():
    q = items()
    shown = [s.get("id", s.get("text", s["seg"])) for s in q.layout]
    assert shown[:8] == ["Out of ", "c1", " ", "c2", " ", "c3", " ", "c4"]
    assert shown[8:] == [", which one fits ", "r1", "?", "options", "Answer with the letter."]
    assert (q.layout_name, q.question_raw) == ("as_shipped", ITEMS["question"])


def test_the_layout_of_equation_3_is_candidates_question_reference_options():
    q = items(layout="eq3")
    order = [s.get("id", s["seg"]) for s in q.layout]
    assert order == ["c1", "c2", "c3", "c4", "question", "r1", "options", "instruction"]
    assert q.question == q.layout[4]["text"] == "Out of the four sounds, which one fits the picture?"
    assert (q.layout_name, q.question_raw) == ("paper_eq3", ITEMS["question"])


def test_questions_survive_a_round_trip_and_are_sorted(tmp_path):
    written = [video(question_id="9"), video(), items()]
    question.write_questions(written, tmp_path / "q.jsonl")
    assert question.read_questions(tmp_path / "q.jsonl") == sorted(written, key=lambda q: q.question_id)


def test_events_survive_a_round_trip_and_a_question_without_any_has_no_such_key(tmp_path):
    box = [0.25, 0, 1, 0.5]
    events = ({"sense": "audio", "start": 1.5, "stop": 2}, {"sense": "video", "start": 0, "stop": 1, "box": box})
    told = replace(video(), events=events)
    question.write_questions([told, video(question_id="9")], tmp_path / "q.jsonl")
    assert [q.events for q in question.read_questions(tmp_path / "q.jsonl")] == [events, ()]
    assert "events" not in question.to_json(video())
    for wrong in ([0.5, 0, 0.5, 1], [0, 0, 1], [0, 0, 1, 2], [0, 0, 1, True], "all"):
        with pytest.raises(InputError, match="seen events may have a box of four shares of the picture"):
            replace(video(), events=({"sense": "video", "start": 0, "stop": 1, "box": wrong},))
    for wrong in ({"sense": "audio", "start": 1}, {"sense": "audio", "start": "1", "stop": 2}, "now", {**events[0], "at": 1}):
        with pytest.raises(InputError, match="is not like"):
            replace(video(), events=(wrong,))


def test_a_damaged_line_names_file_and_line(tmp_path):
    good = question.to_json(video())
    (tmp_path / "q.jsonl").write_text(good + "\n" + good.replace('"answer": "B"', '"answer": "Z"') + "\n")
    with pytest.raises(InputError, match=r"q\.jsonl, line 2: question mini_video__7: answer 'Z'"):
        question.read_questions(tmp_path / "q.jsonl")
    (tmp_path / "q.jsonl").write_text(good[:50])
    with pytest.raises(InputError, match=r"q\.jsonl, line 1: not a question of the documented shape"):
        question.read_questions(tmp_path / "q.jsonl")


def test_an_id_that_occurs_twice_is_refused(tmp_path):
    with pytest.raises(InputError, match="mini_video__7 occurs twice"):
        question.write_questions([video(), video()], tmp_path / "q.jsonl")


def test_questions_on_one_clip_share_a_shard_and_shards_partition():
    pool = [video(question_id=f"{i}", audio_visual_path=f"clips/clip_{i % 50}.mp4") for i in range(150)]
    shards = [{q.question_id for q in pool if q.shard(4) == s} for s in range(4)]
    assert sum(map(len, shards)) == 150 and all(shards)
    assert all(pool[i].shard(4) == pool[i + 50].shard(4) for i in range(50))


def test_the_first_questions_of_each_task_are_for_knockouts():
    pool = [replace(video(question_id=f"{t}_{i}"), task=t) for t in ("see", "hear") for i in range(5)]
    marked = question.split_for_knockout(pool, 2)
    chosen = [q.question_id for q in marked if q.study_split == "knockout"]
    assert chosen == ["mini_video__hear_0", "mini_video__hear_1", "mini_video__see_0", "mini_video__see_1"]
