"""Pictures and sound of every container and codec lie on one clock, which begins at the first shown picture.

Each claim is held against striped clips (`tests/striped_clips.py`): their frames carry numbers, and their sound beeps at known
times. A plain sequential decode confirms first that the clips are what they are meant to be. Also tests avflow.media.clock,
avflow.media.video.
"""

import random
from fractions import Fraction

import clip_writer
import numpy as np
import pytest
import striped_clips
from clip_recipes import AVI, FAST, FLV, MKV, MOV, MPG, SLOW, SOUNDS, TS, WEBM, WMV
from conftest import OnDemand
from striped_clips import BEEPS, NO_TIMES, Recipe, beeps_of, number_of

from avflow import media
from avflow.media.clock import in_seconds
from avflow.media.sampling import SAMPLE_RATE, spread_indices

CLIPS = [*FAST, *(pytest.param(recipe, marks=pytest.mark.slow) for recipe in SLOW)]
every_clip = pytest.mark.parametrize("recipe", CLIPS, ids=str)
LATEST = {recipe: 0.1 if recipe.suffix == "avi" else 0.05 for recipe in FAST + SLOW}  # AVI cannot declare an encoder's delay


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Recipe -> (path, truth)."""
    folder = tmp_path_factory.mktemp("striped")

    def made(recipe):
        path = folder / f"{len(list(folder.iterdir()))}.{recipe.suffix}"
        return path, clip_writer.make(path, recipe)

    return OnDemand(FAST + SLOW + SOUNDS, made)


def amiss(found, due, allowed):
    """What tells two lists of times apart; nothing if they agree within `allowed` seconds."""
    near = len(found) == len(due) and all(abs(f - d) <= allowed for f, d in zip(found, due))
    return "" if near else f"beeps at {found} instead of {due} s"


def test_seconds_are_those_of_exact_fractions():
    draw = random.Random(0)
    for _ in range(2000):
        stamp = draw.randint(-(2 ** draw.randint(1, 62)), 2 ** draw.randint(1, 62))
        unit = Fraction(draw.randint(1, 2000), draw.randint(1, 10 ** draw.randint(1, 7)))
        assert in_seconds(stamp, unit) == float(stamp * unit)


@every_clip
def test_the_truth_is_what_a_sequential_decode_shows(clips, recipe):
    path, truth = clips[recipe]
    times, numbers = striped_clips.shown(path)
    assert numbers == truth.numbers.tolist() and len(numbers) >= 60
    if recipe.suffix not in NO_TIMES:
        assert np.abs(times - truth.times).max() < max(recipe.tick, 1e-3)
    if recipe.audio:
        assert not amiss(striped_clips.heard(path), truth.beeps, LATEST[recipe]) and truth.beeps


@every_clip
def test_every_sampled_frame_is_the_one_on_show(clips, recipe):
    path, truth = clips[recipe]
    frames, fps = media.read_frames(path, 2, 768)[:2]
    assert fps == 2 and abs(len(frames) - 2 * truth.seconds) <= 1
    found = [number_of(frame) for frame in frames]
    wrong = {k / 2: (n, truth.numbers_at(k / 2, recipe.tick)) for k, n in enumerate(found)}
    assert {time: pair for time, pair in wrong.items() if pair[0] not in pair[1]} == {}, "time: (read, on show)"


@every_clip
def test_every_beep_is_heard_on_the_pictures_clock(clips, recipe):
    path, truth = clips[recipe]
    if recipe.audio is None:
        with pytest.raises(media.MediaError) as caught:
            media.read_audio(path)
        assert caught.value.reason == "no_audio"
    else:
        assert not amiss(beeps_of(media.read_audio(path), SAMPLE_RATE), truth.beeps, LATEST[recipe])


@every_clip
def test_a_clip_is_as_long_as_its_pictures_are_shown(clips, recipe):
    path, truth = clips[recipe]
    facts = media.probe(path, "video", needs_audio=recipe.audio is not None)
    assert (facts.width, facts.height) == (striped_clips.WIDTH, striped_clips.HEIGHT)
    assert facts.seconds == pytest.approx(truth.seconds, abs=0.1)
    assert facts.audio_channels == (0 if recipe.audio is None else 2 if recipe.audio == "vorbis" else 1)
    if recipe.times == "even":
        assert facts.fps == pytest.approx(float(recipe.fps), rel=0.02)


@every_clip
def test_frames_spread_over_a_clip_are_counted_among_those_shown(clips, recipe):
    path, truth = clips[recipe]
    frames = media.read_spread_frames(path, 0.5, 4, 768)[0]
    wanted = truth.numbers[spread_indices(len(truth.numbers), truth.seconds, 0.5, 4, 768)].tolist()
    assert [number_of(frame) for frame in frames] == wanted


@every_clip
def test_decord_gives_the_same_pictures_or_is_refused(clips, recipe):
    path, truth = clips[recipe]
    wanted = [number_of(frame) for frame in media.read_frames(path, 2, 768)[0]]
    try:
        assert media.probe(path, "video", reader="decord").reader == "decord"
        frames = media.read_frames(path, 2, 768, reader="decord")[0]
    except media.MediaError as error:
        assert error.reason == "misread" and recipe != Recipe(), str(error)
    else:
        assert [number_of(frame) for frame in frames] == wanted


@pytest.mark.parametrize("kind", [TS, MPG, ("ts", "mpeg2video", "mp2")], ids="-".join)
def test_broadcasts_that_were_appended_byte_by_byte_play_one_after_the_other(tmp_path, kind):
    path = tmp_path / f"joined.{kind[0]}"
    parts, data = [], b""
    for keep in ((3, 6), (0, 3), (1, 4)):
        parts.append(clip_writer.make(path, Recipe(*kind, keep=(keep,))))
        data += path.read_bytes()
    path.write_bytes(data)
    found = [number_of(frame) for frame in media.read_frames(path, 2, 768)[0]]
    expected = [n for part in parts for n in part.numbers[[12, 37, 62]].tolist()]
    assert found[1:18:2] == pytest.approx(expected, abs=2) and len(found) < 20  # a seam may take a frame
    due = [3 * n + beep for n, part in enumerate(parts) for beep in part.beeps]
    assert not amiss(beeps_of(media.read_audio(path), SAMPLE_RATE), due, 0.1)
    assert media.probe(path, "video").seconds == pytest.approx(9, abs=0.2)


def with_edits(path, parts):
    """Replace both entries of each track's edit list, so that the file shows `parts` [(begin, end)] in seconds of its media."""
    data = bytearray(path.read_bytes())
    movie = data.index(b"mvhd")
    ticks = int.from_bytes(data[movie + 16 : movie + 20], "big")
    at = data.find(b"elst")
    while at > 0:
        assert int.from_bytes(data[at + 8 : at + 12], "big") == len(parts), "the file should begin with an empty edit"
        header = data.index(b"mdhd", at)
        scale = int.from_bytes(data[header + 16 : header + 20], "big")
        for n, (begin, end) in enumerate(parts):
            entry = round((end - begin) * ticks).to_bytes(4, "big") + round(begin * scale).to_bytes(4, "big")
            data[at + 12 + 12 * n : at + 20 + 12 * n] = entry
        at = data.find(b"elst", at + 4)
    path.write_bytes(data)


@pytest.mark.parametrize("recipe", [Recipe(*MOV, start=2), Recipe("mp4", "libx264", "alac", start=2)], ids=str)
def test_an_edit_list_of_two_parts_shows_both_one_after_the_other(tmp_path, recipe):
    path = tmp_path / f"clip.{recipe.suffix}"
    clip_writer.make(path, recipe)
    with_edits(path, ((1, 3), (3.2, 6)))
    numbers = [*range(25, 75), *range(80, 150)]
    assert striped_clips.shown(path)[1] == numbers
    frames = media.read_frames(path, 2, 768)[0]
    assert [number_of(frame) for frame in frames] == [numbers[int(12.5 * k)] for k in range(10)]
    assert media.probe(path, "video").seconds == pytest.approx(4.8, abs=0.1)
    assert not amiss(beeps_of(media.read_audio(path), SAMPLE_RATE), [1.2, 2.2, 4.3], 0.05)


@pytest.mark.parametrize("degrees", [0, 10, 45, 80, 100, 190, 350])
def test_a_clip_turned_by_any_angle_is_probed_in_the_shape_in_which_it_is_read(tmp_path, degrees):
    path = tmp_path / "clip.mp4"
    clip_writer.make(path, Recipe(rotation=degrees, seconds=1))
    facts = media.probe(path, "video")
    assert media.read_frames(path, 2, 768)[0].shape == (2, 3, facts.height, facts.width)


@pytest.mark.parametrize("recipe", SOUNDS, ids=str)
def test_sound_without_pictures_begins_at_its_first_sample(clips, recipe):
    path, _ = clips[recipe]
    samples = media.read_audio(path)
    assert not amiss(beeps_of(samples, SAMPLE_RATE), list(BEEPS), 0.1 if recipe.suffix in ("ts", "wmv") else 0.05)
    assert media.probe(path, "audio").seconds == pytest.approx(6, abs=0.15) and len(samples) / SAMPLE_RATE == pytest.approx(
        6, abs=0.15
    )


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm", "avi", "wmv", "flv"])
def test_a_download_that_broke_off_is_truncated_wherever_a_length_is_declared(tmp_path, suffix):
    kinds = {kind[0]: kind for kind in (WEBM, WMV, AVI, MOV, MKV, FLV)}
    path = tmp_path / f"clip.{suffix}"
    clip_writer.make(path, Recipe(*kinds.get(suffix, ()), faststart=suffix in ("mp4", "mov")))
    whole = path.read_bytes()
    for share in (0.3, 0.6, 0.85):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(media.MediaError) as caught:
            media.probe(path, "video")
        assert caught.value.reason == "truncated", f"{share:.0%}: {caught.value}"
