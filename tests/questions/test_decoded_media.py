"""Media that are decoded where they are encoded, without a file of frames."""

import json
import shlex
import subprocess
import sys

import numpy as np
import pytest
from conftest import SCRIPTS, script
from examples import RATE, pictures, tone, video

from avflow.errors import InputError
from avflow.media import files
from avflow.questions import read_questions, shard_lists, write_questions
from avflow.questions.decoded_media import AHEAD, DecodedMedia
from avflow.questions.media_table import keep_usable
from avflow.storage import FeatureStore

SAMPLING = "--fps 2 --max-frames 4 --multiple 28 --min-pixels 3136 --max-pixels 3136"


@pytest.fixture
def listed(tmp_path):
    """A folder with five clips, six questions about them, and the list of their media."""
    for n in range(5):
        files.write_clip(tmp_path / f"{n}.mp4", pictures()[n:], 10, tone(1.0 + n / 10), RATE)
    pool = [video(question_id=f"q{n}", video_id=f"v{n % 5}", audio_visual_path=f"{n % 5}.mp4") for n in range(6)]
    kept, dropped = keep_usable(pool, tmp_path, tmp_path / "media.tsv", needs_audio=True)
    assert not dropped
    write_questions(kept, tmp_path / "questions.jsonl")
    shard_lists.write_lists(tmp_path / "questions.jsonl", tmp_path / "media.tsv", [tmp_path / "0.jsonl"])
    return tmp_path


def options(where, more="--threads 2"):
    return f"--media {shlex.quote(str(where / '0.jsonl'))} --media-root {where} {SAMPLING} {more}"


def same(arrays, other):
    return arrays.keys() == other.keys() and all(np.array_equal(arrays[name], other[name]) for name in arrays)


def test_media_are_those_of_the_file_of_frames_one_by_one_and_question_by_question(listed):
    script("preprocess_media", *shlex.split(options(listed)), "--out", listed / "frames", "--table", listed / "table")
    store, media = FeatureStore(listed / "frames"), DecodedMedia.of_options(options(listed))
    assert media.kinds == json.loads(store.metadata["kinds"]) and len(media.kinds) == 5
    each = dict(media.each())
    assert list(each) == sorted(media.kinds)
    assert all(same(each[name], {n: store.get(name, n) for n in store.names[name]}) for name in each)
    asked = read_questions(listed / "questions.jsonl")
    for order in (asked, []):  # told the order, and not
        media = DecodedMedia.of_options(options(listed))
        media.follow(order)
        for question in asked:
            (found,), (wanted,) = media.of(question).values(), store.of(question).values()
            assert same(found, wanted) and len(media.running) <= 1 + AHEAD * media.threads


def test_only_media_that_are_asked_about_are_decoded(listed):
    media = DecodedMedia.of_options(options(listed, "--threads 1"))
    some = read_questions(listed / "questions.jsonl")[:1]
    media.follow(some)
    media.of(some[0])
    media.pool.shutdown()
    assert [row["media_id"] for row in media.table()] == [some[0].media[0].media_id]
    other = video(question_id="q9", video_id="v9", audio_visual_path="9.mp4")
    lacking = f"0.jsonl: made for other questions, it lacks {other.media[0].media_id}; delete it and run again"
    with pytest.raises(InputError, match=lacking):
        media.of(other)


def test_the_identity_follows_bytes_and_sampling(listed):
    of = lambda text: DecodedMedia.of_options(text).identity  # noqa: E731
    before = of(options(listed))
    assert before == of(options(listed, "--threads 1")) != of(options(listed).replace("--fps 2", "--fps 1"))
    line, *rest = (listed / "0.jsonl").read_text().splitlines()
    (listed / "0.jsonl").write_text("\n".join([json.dumps({**json.loads(line), "sha256": "0" * 64}), *rest, ""]))
    assert of(options(listed)) != before
    with pytest.raises(InputError, match="the file has changed since it was probed"):
        dict(DecodedMedia.of_options(options(listed)).each())


def test_features_without_a_file_of_frames_are_the_same_bytes(listed):
    model = ["--family", "qwen_omni", "--checkpoint", "resources/tiny-omni", "--dtype", "float32", "--device", "cpu"]
    script("preprocess_media", *shlex.split(options(listed)), "--out", listed / "frames", "--table", listed / "table")
    script("extract_features", *model, "--frames", listed / "frames", "--out", listed / "one")
    decode = [f"--decode={options(listed)}", "--table", listed / "again"]
    script("extract_features", *model, "--threads", 1, *decode, "--out", listed / "other")
    assert (listed / "one").read_bytes() == (listed / "other").read_bytes()
    assert (listed / "table").read_bytes() == (listed / "again").read_bytes()


@pytest.mark.parametrize("script", ["extract_features", "pruning", "resample"])
def test_a_machine_without_readers_encodes_decoded_shards(script):
    code = (
        "import runpy, sys\n"
        "for name in ('av', 'decord', 'soundfile', 'PIL'): sys.modules[name] = None\n"
        f"sys.argv = ['{script}', '--help']\n"
        f"runpy.run_path(r'{SCRIPTS / script}.py', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=SCRIPTS, check=False)
    assert done.returncode == 0, done.stderr
    assert "--decode" in done.stdout
