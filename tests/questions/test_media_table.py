"""The table of media: a question whose file cannot be used is dropped with a reason. Also tests avflow.questions.drops."""

import pytest
from examples import RATE, pictures, tone, video

from avflow.errors import InputError
from avflow.media import files
from avflow.questions.media_table import keep_usable


def test_bad_media_drop_their_questions_with_a_counted_reason(tmp_path):
    (tmp_path / "clips").mkdir()
    files.write_clip(tmp_path / "clips/good.mp4", pictures(), 10, tone(2.0), RATE)
    files.write_clip(tmp_path / "clips/silent.mp4", pictures(), 10, None, RATE)
    (tmp_path / "clips/empty.mp4").touch()
    pool = [
        video(question_id=f"{name}_{i}", video_id=name, audio_visual_path=f"clips/{name}.mp4")
        for name in ("good", "silent", "empty")
        for i in range(2)
    ]
    kept, dropped = keep_usable(pool, tmp_path, tmp_path / "media.tsv", needs_audio=True)
    assert [(d.question_id, d.reason) for d in dropped] == [
        (f"mini_video__{name}_{i}", reason) for name, reason in (("silent", "no_audio"), ("empty", "empty_file")) for i in (0, 1)
    ]
    assert [q.question_id for q in kept] == ["mini_video__good_0", "mini_video__good_1"]
    lines = [line.split("\t") for line in (tmp_path / "media.tsv").read_text().splitlines()]
    table = {row[0]: dict(zip(lines[0], row)) for row in lines[1:]}
    assert {i: (r["status"], r["questions_dropped"]) for i, r in table.items()} == {
        "mini_video__empty": ("empty_file", "2"),
        "mini_video__good": ("ok", "0"),
        "mini_video__silent": ("no_audio", "2"),
    }
    assert "needs one" in table["mini_video__silent"]["detail"]
    with pytest.raises(InputError, match="none of 2 questions is usable; first reason: .*empty.mp4: the file is empty"):
        keep_usable(pool[4:], tmp_path, tmp_path / "media.tsv", needs_audio=True)
