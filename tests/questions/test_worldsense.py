"""WorldSense, from the authors' json or the mirror's table to questions."""

import shutil

import layouts as shipped
import pytest
from prepared import prepare


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
