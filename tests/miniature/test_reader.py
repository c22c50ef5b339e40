"""The miniature's own rows become questions of both settings."""

from avflow.miniature.reader import read_rows


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
