"""Only new and changed files are decoded again, and a file that changes while it is read is not used."""

import contextlib
import csv
import os
import shutil

import pytest
from examples import RATE, pictures, tone, video

from avflow.media import MediaError, files
from avflow.questions import media_table
from avflow.storage.provenance import file_hash


@pytest.fixture
def clips(tmp_path, monkeypatch):
    """Three clips, and a function that makes their table and says which of them it decoded."""
    for name in "abc":
        files.write_clip(tmp_path / f"{name}.mp4", pictures(), 10, tone(1.0 + ord(name) / 500), RATE)
    pool = [video(question_id=name, video_id=name, audio_visual_path=f"{name}.mp4") for name in "abc"]
    decoded, probe = [], media_table.probe

    def counted(path, *given, **options):
        decoded.append(path.stem)
        return probe(path, *given, **options)

    monkeypatch.setattr(media_table, "probe", counted)

    def make(**options):
        decoded.clear()
        with contextlib.suppress(KeyboardInterrupt):
            media_table.keep_usable(pool, tmp_path, tmp_path / "m.tsv", **{"needs_audio": True, **options})
        return sorted(decoded)

    return tmp_path, make


def table(where):
    with open(where / "m.tsv", newline="") as file:
        return {row["media_id"][-1]: row for row in csv.DictReader(file, delimiter="\t")}


def test_unchanged_files_are_not_decoded_again_and_the_table_is_the_same(clips):
    where, make = clips
    assert make() == ["a", "b", "c"]
    first = (where / "m.tsv").read_bytes()
    assert {row["sha256"] for row in table(where).values()} == {file_hash(where / f"{n}.mp4") for n in "abc"}
    (where / "m.tsv").unlink()
    assert make() == [] and (where / "m.tsv").read_bytes() == first


def test_a_new_date_or_a_copy_is_known_by_its_bytes_and_other_bytes_are_decoded(clips):
    where, make = clips
    make()
    os.utime(where / "a.mp4", (1, 1))
    shutil.copy(where / "b.mp4", where / "b2.mp4")
    os.replace(where / "b2.mp4", where / "b.mp4")
    assert make() == []
    facts = os.stat(where / "c.mp4")
    data = bytearray((where / "c.mp4").read_bytes())
    data[-1] ^= 1
    (where / "c.mp4").write_bytes(data)
    os.utime(where / "c.mp4", ns=(facts.st_atime_ns, facts.st_mtime_ns))  # same size, same date
    assert make() == ["c"] and table(where)["c"]["sha256"] == file_hash(where / "c.mp4")


def test_what_decides_a_finding_decodes_again(clips, monkeypatch):
    where, make = clips
    make()
    assert make(needs_audio=False) == ["a", "b", "c"] and make() == []
    monkeypatch.setattr("avflow.questions.probe_record._versions", lambda: {"av": "another"})
    assert make() == ["a", "b", "c"] and make() == []


def test_a_killed_run_keeps_what_it_had_found(clips, monkeypatch):
    where, make = clips
    whole = media_table.probe

    def killed(path, **options):
        if path.stem == "c":
            raise KeyboardInterrupt
        return whole(path, **options)

    monkeypatch.setattr(media_table, "probe", killed)
    assert make() == ["a", "b"] and not (where / "m.tsv").exists()
    monkeypatch.setattr(media_table, "probe", whole)
    with open(where / "m.tsv.probes", "a") as file:
        file.write('{"path": "torn')
    assert make() == ["c"] and make() == []


def test_a_bad_file_is_remembered_with_its_reason_and_asked_again_when_it_is_replaced(clips):
    where, make = clips
    good = (where / "a.mp4").read_bytes()
    (where / "a.mp4").write_bytes(b"no clip")
    make()
    assert make() == [] and table(where)["a"]["status"] == "unreadable" and len(table(where)["a"]["sha256"]) == 64
    (where / "a.mp4").unlink()
    make()
    assert (table(where)["a"]["status"], table(where)["a"]["sha256"]) == ("missing", "")
    (where / "a.mp4").write_bytes(good)
    assert make() == [] or table(where)["a"]["status"] == "ok"
    assert table(where)["a"]["status"] == "ok"


def test_a_file_that_changes_while_it_is_read_is_dropped_and_read_the_next_time(clips, monkeypatch):
    where, make = clips
    whole = media_table.probe

    def growing(path, **options):
        found = whole(path, **options)
        if path.stem == "b":
            with open(path, "ab") as file:
                file.write(b"more")
        return found

    monkeypatch.setattr(media_table, "probe", growing)
    make()
    row = table(where)["b"]
    assert row["status"] == "changed" and row["questions_dropped"] == "1" and table(where)["a"]["status"] == "ok"
    assert "b.mp4: the file changed while it was read; wait until it is complete, and run the same command" in row["detail"]
    monkeypatch.setattr(media_table, "probe", whole)
    assert make() == ["b"] and table(where)["b"]["status"] == "ok"


def test_the_reason_is_one_that_the_documents_list():
    from avflow.media.containers import REASONS

    assert MediaError("changed", "").reason in REASONS
