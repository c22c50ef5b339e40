"""The miniature's own rows become questions of both settings."""

import csv

from avflow.miniature import datasets, world
from avflow.miniature.reader import read_rows
from render_miniature import clip_scene, video_rows


def test_every_row_of_the_miniature_is_a_question(world_files):
    clips = read_rows(world_files / "mini-video/test.csv", "mini-video", "av_video")
    items = read_rows(world_files / "mini-items/test.csv", "mini-items", "items")
    assert (len(clips), len(items)) == (6 * 6, 6 * 6)
    assert {q.task: q.needs for q in (*clips, *items)} == {
        **{"hear": "A", "see": "V", "while-hear": "AV", "while-see": "AV", "hear-before": "A", "see-before": "V"},
        **{"image-to-audio": "AV", "audio-to-image": "AV", "by-aspect": "AV", "stated": "AV", "named": "A", "repeated": "A"},
    }
    assert len({q.question_id for q in (*clips, *items)}) == 72
    assert all((world_files / q.dataset / m.path).is_file() for q in (*clips, *items) for m in q.media)
    assert {len(q.media) for q in clips} == {1} and {len(q.media) for q in items} == {5}


def test_events_come_from_the_scene(world_files):
    clips = read_rows(world_files / "mini-video/test.csv", "mini-video", "av_video")
    for question in (q for q in clips if q.task == "hear"):
        scene, _ = clip_scene("mini-video", 0, "single", 0.5, int(question.question_id[-4:]))
        (second,) = (scene.sound[0] != world.NOTHING).nonzero()[:, 0].tolist()
        assert question.events == ({"sense": "audio", "start": second, "stop": second + 1},)
    assert not any(q.events for q in clips if q.task == "see") and len({q.events[0]["start"] for q in clips if q.events}) == 4


def test_a_row_without_choices_is_a_free_question_whose_answer_tells_what_is_in_the_clip(tmp_path):
    rows = video_rows("mini-free", [world.FREE, "hear"], 4, 0)
    with open(tmp_path / "test.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    found = read_rows(tmp_path / "test.csv", "mini-free", "av_video")
    assert [q.free for q in found] == [True] * 4 + [False] * 4 and {q.needs for q in found[:4]} == {"AV"}
    assert [s["seg"] for s in found[0].layout] == ["media", "instruction", "question"]
    for number, question in enumerate(found[:4], 1):
        scene, _ = clip_scene("mini-free", 0, "single", 0.5, number)
        sound, shape = question.answer.split(" and ")
        assert world.SOUNDS.index(sound) == int(scene.sound.max()) and world.SHAPES.index(shape) == int(scene.shape[0, 0])
    assert found[0].media[0].path == found[4].media[0].path == "media/single_0001.mp4", "both ask about the same clip"
    assert datasets.INSTRUCTIONS["av_video"][0] != found[0].layout[1]["text"] == world.FREE_INSTRUCTION
