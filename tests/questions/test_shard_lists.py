"""Each shard lists its own media with their digests, and decodes no other bytes than those."""

import json
import math
from dataclasses import replace

import pytest
from conftest import script
from examples import RATE, items_question, pictures, tone, video
from safetensors import safe_open

from avflow.errors import InputError
from avflow.media import files
from avflow.questions import read_questions, shard_lists, write_questions
from avflow.questions.media_table import keep_usable
from avflow.storage import FeatureStore
from avflow.storage.provenance import file_hash

NAMES = ["plain", "with space", "tab\tand\nline", "quo\"te's $HOME", "-dash", "ü; {x} & 100%", "a:b"]


@pytest.fixture
def prepared(tmp_path):
    """Seven clips with odd names, two of them in a sub-folder, with their questions and media table."""
    for number, name in enumerate(NAMES):
        path = tmp_path / f"clips/{'sub/' * (number < 2)}{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_clip(path, pictures(), 10, tone(1.0 + number / 10), RATE)
    pool = [
        video(question_id=f"q{n}", video_id=f"v{n}", audio_visual_path=f"{'sub/' * (n < 2)}{name}.mp4")
        for n, name in enumerate(NAMES)
    ]
    kept, dropped = keep_usable(pool, tmp_path / "clips", tmp_path / "media.tsv", needs_audio=True)
    assert not dropped
    write_questions(kept, tmp_path / "questions.jsonl")
    return tmp_path


def lists(where, shards=3):
    out = [where / f"{n}.jsonl" for n in range(shards)]
    script("shard_media", "--questions", where / "questions.jsonl", "--media", where / "media.tsv", "--out", *out)
    return out


def decode(where, media, folder="clips", check=True):
    options = ["--fps", 2, "--max-frames", 4, "--multiple", 28, "--min-pixels", 3136, "--max-pixels", 3136, "--threads", 2]
    given = ["--media", media, "--media-root", folder, "--remedy", "run the same command again", "--out", where / "out"]
    return script("preprocess_media", *given, *options, check=check, cwd=where)


def test_every_medium_is_in_the_list_of_its_questions_shard(prepared):
    found = [shard_lists.read_list(path) for path in lists(prepared)]
    asked = read_questions(prepared / "questions.jsonl")
    for n, listed in enumerate(found):
        assert [m.media_id for m in listed] == sorted(q.media[0].media_id for q in asked if q.shard(3) == n)
    assert {m.path for some in found for m in some} == {q.media[0].path for q in asked}
    assert all(m.sha256 == file_hash(prepared / "clips" / m.path) for some in found for m in some)


def test_a_list_says_how_much_text_and_how_many_media_stand_beside_a_medium():
    asked = video(question_id="q0", video_id="v", audio_visual_path="a.mp4")
    written = [*(f"{o.label}. {o.text}" for o in asked.options), *(s["text"] for s in asked.layout if "text" in s)]
    assert shard_lists.text_bytes(asked) == len("\n".join([*written, ""]).encode())
    (found,) = shard_lists.listed([asked])
    assert found.text == 256 * math.ceil(shard_lists.text_bytes(asked) / 256) and found.media == 1
    longer = replace(asked, layout=tuple({**s, "text": "ü" * 1000} if s["seg"] == "question" else s for s in asked.layout))
    assert [m.text for m in shard_lists.listed([asked, longer, asked])] == [2048]
    assert shard_lists.listed([asked]) == shard_lists.listed([replace(asked, question_raw="other words")])
    assert {m.media for m in shard_lists.listed([items_question("image-to-audio")])} == {5}


def test_a_changed_medium_changes_the_list_of_its_shard_alone(prepared):
    before = [path.read_bytes() for path in lists(prepared)]
    question = read_questions(prepared / "questions.jsonl")[0]
    files.write_clip(prepared / "clips" / question.media[0].path, pictures()[::-1], 10, tone(2.0), RATE)
    keep_usable(read_questions(prepared / "questions.jsonl"), prepared / "clips", prepared / "media.tsv", needs_audio=True)
    after = [path.read_bytes() for path in lists(prepared)]
    assert [n for n in range(3) if before[n] != after[n]] == [question.shard(3)]


def test_media_of_any_name_are_decoded(prepared):
    (media,) = lists(prepared, shards=1)
    decode(prepared, media)
    with safe_open(prepared / "out", "np") as shard:
        assert sum(name.endswith("/audio") for name in shard.keys()) == len(NAMES)  # noqa: SIM118
        kinds = json.loads(shard.metadata()["kinds"])
    assert set(kinds.values()) == {"video"}


def test_a_medium_that_changed_since_it_was_probed_is_one_line_with_the_remedy(prepared):
    (media,) = lists(prepared, shards=1)
    path = prepared / "clips/sub/with space.mp4"
    files.write_clip(path, pictures()[::-1], 10, tone(1.0), RATE)
    done = decode(prepared, media, check=False)
    assert done.returncode == 2 and not (prepared / "out").exists()
    assert "clips/sub/with space.mp4: the file has changed since it was probed; run the same command again" in done.stderr
    path.unlink()
    done = decode(prepared, media, check=False)
    assert done.returncode == 2 and "with space.mp4: the file is gone since it was probed; run the same" in done.stderr


def test_a_shard_without_questions_has_an_empty_list(prepared):
    found = [path.read_text() for path in lists(prepared, shards=40)]
    assert sum(text == "" for text in found) >= 33 and sum(text.count("\n") for text in found) == 7


def test_a_table_of_an_earlier_version_names_the_remedy(prepared):
    table = prepared / "media.tsv"
    table.write_text(table.read_text().replace("sha256", "other", 1))
    with pytest.raises(InputError, match="media.tsv: it has no sha256 of mini_video__-dash; delete this file and run again"):
        shard_lists.write_lists(prepared / "questions.jsonl", table, [prepared / "0.jsonl"])
    (prepared / "0.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match="0.jsonl: not a list of media .*; delete it and run again"):
        shard_lists.read_list(prepared / "0.jsonl")


def test_questions_alone_decode_the_media_of_a_shard(prepared):
    (whole,) = lists(prepared, shards=1)
    decode(prepared, whole)
    everything = lambda store: {f"{m}/{n}": store.get(m, n) for m in store.names for n in store.names[m] if m != "padding"}  # noqa: E731
    wanted, found = everything(FeatureStore(prepared / "out", "np")), {}
    for shard in range(2):
        given = ["--questions", prepared / "questions.jsonl", "--shard", shard, "--shards", 2, "--media-root", "clips"]
        options = ["--fps", 2, "--max-frames", 4, "--multiple", 28, "--min-pixels", 3136, "--max-pixels", 3136]
        script("preprocess_media", *given, *options, "--out", prepared / "part", cwd=prepared)
        found |= everything(FeatureStore(prepared / "part", "np"))
    assert found.keys() == wanted.keys() and len(wanted) == 3 * len(NAMES)
    assert all(found[name].tobytes() == wanted[name].tobytes() for name in wanted)
