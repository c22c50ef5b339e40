"""Dropped questions are written sorted, one per line. The file exists even when nothing was dropped."""

from avflow.questions.drops import Dropped, write_drops

HEAD = "question_id\ttask\treason\tdetail\n"


def test_drops_are_sorted_and_each_is_one_line(tmp_path):
    found = [Dropped("q2", "see", "missing", "a\tb\nc"), Dropped("q1", "hear", "no_audio", "clip.mp4 has no sound")]
    write_drops(found, tmp_path / "d.tsv")
    assert (tmp_path / "d.tsv").read_text() == HEAD + "q1\thear\tno_audio\tclip.mp4 has no sound\nq2\tsee\tmissing\ta b c\n"


def test_nothing_dropped_is_a_file_with_a_head(tmp_path):
    write_drops([], tmp_path / "d.tsv")
    assert (tmp_path / "d.tsv").read_text() == HEAD
