"""A changed medium concerns its own shard; other shards are planned again only if a question may be dropped or come back."""

import json
import os

import pytest
from examples import RATE, pictures, tone, video

from avflow.media import files
from avflow.questions import read_questions, replanning, write_questions
from avflow.questions.media_table import keep_usable
from avflow.storage.provenance import folder_state

SHARDS = 3


class Prepared:
    """Six clips, of which one is missing, in three shards, as prepare leaves them."""

    def __init__(self, where):
        self.where, self.media = where, where / "media"
        self.media.mkdir()
        for n in range(5):
            files.write_clip(self.media / f"{n}.mp4", pictures(), 10, tone(1 + n / 10), RATE)
        self.pool = [video(question_id=str(n), video_id=str(n), audio_visual_path=f"{n}.mp4") for n in range(6)]
        self.questions, self.table = where / "q.jsonl", where / "m.tsv"
        self.make()

    def told(self, plan="1"):
        return json.dumps({"files": folder_state(self.media), "plan": plan})

    def make(self):
        kept, _ = keep_usable(self.pool, self.media, self.table, needs_audio=True, told=self.told())
        write_questions(kept, self.questions)

    def concerned(self, plan="1"):
        return replanning.concerned(self.table, self.told(plan), self.media, SHARDS, self.questions)

    def shard(self, n):
        return self.pool[n].shard(SHARDS)


@pytest.fixture
def prepared(tmp_path):
    return Prepared(tmp_path)


def test_nothing_is_foreseen_if_nothing_or_something_else_changed(prepared):
    assert prepared.concerned() is None
    (prepared.media / "notes.txt").touch()
    assert prepared.concerned(plan="2") is None, "another configuration: everything is planned as Snakemake does"
    replanning.snapshot(prepared.table).write_text("[]")
    assert prepared.concerned() is None


def test_an_unrelated_file_or_a_new_date_concerns_no_shard(prepared):
    (prepared.media / "notes.txt").touch()
    os.utime(prepared.media / "1.mp4", (1, 1))
    found = prepared.concerned()
    assert found.media == found.questions == set()
    prepared.make()
    assert not found.surprised(prepared.questions)


def test_other_bytes_concern_the_shard_of_their_questions(prepared):
    assert len({prepared.shard(n) for n in range(6)}) == 3
    files.write_clip(prepared.media / "2.mp4", pictures()[::-1], 10, tone(1.2), RATE)
    found = prepared.concerned()
    assert found.media == found.questions == {prepared.shard(2)}
    prepared.make()
    assert not found.surprised(prepared.questions) and prepared.concerned() is None


def test_a_deleted_file_and_one_that_comes_back_concern_the_questions_of_every_shard(prepared):
    (prepared.media / "0.mp4").unlink()
    found = prepared.concerned()
    assert (found.media, found.questions) == ({prepared.shard(0)}, {0, 1, 2})
    prepared.make()
    assert len(read_questions(prepared.questions)) == 4
    files.write_clip(prepared.media / "5.mp4", pictures(), 10, tone(1.7), RATE)
    found = prepared.concerned()
    assert (found.media, found.questions) == ({prepared.shard(5)}, {0, 1, 2})


def test_a_file_that_turns_out_unusable_is_a_surprise(prepared):
    (prepared.media / "3.mp4").write_bytes(b"no clip")
    found = prepared.concerned()
    assert found.questions == {prepared.shard(3)}
    prepared.make()
    assert found.surprised(prepared.questions)
