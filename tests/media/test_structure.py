"""A file that was cut off is found by the sizes that its container states, wherever the cut is."""

import numpy as np
import pytest
import soundfile
from clip_recipes import Recipe
from clip_writer import make
from examples import RATE, tone

from avflow import media
from avflow.media.structure import ends_early, kind_of_bytes

KINDS = {
    "mp4": (),
    "mov": ("libx264", "pcm_s16le"),
    "mkv": ("libx264", "flac"),
    "avi": ("mpeg4", "libmp3lame"),
    "wmv": ("wmv2", "wmav2"),
}
SUFFIXES = (*KINDS, "wav")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Suffix -> the bytes of a whole file."""
    folder = tmp_path_factory.mktemp("whole")
    for suffix, codecs in KINDS.items():
        make(folder / f"a.{suffix}", Recipe(suffix, *codecs, seconds=2))
    soundfile.write(folder / "a.wav", tone(1.0), RATE)
    return {path.suffix[1:]: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_cut_is_found_down_to_the_last_bytes(whole, tmp_path, suffix):
    path, data = tmp_path / f"a.{suffix}", whole[suffix]
    path.write_bytes(data)
    assert not ends_early(path)
    for cut in (len(data) // 5, len(data) // 2, len(data) - 100, len(data) - 20):
        path.write_bytes(data[:cut])
        assert ends_early(path), f"{cut} of {len(data)} bytes"


def test_a_writer_that_could_not_state_its_size_is_believed(whole, tmp_path):
    for size in (b"\0\0\0\0", b"\xff\xff\xff\xff"):
        (tmp_path / "a.wav").write_bytes(b"RIFF" + size + whole["wav"][8:])
        assert not ends_early(tmp_path / "a.wav")
    assert np.abs(media.read_audio(tmp_path / "a.wav")).max() > 0.1


@pytest.mark.parametrize("filling", [bytes(500), b"\xff" * 500, b"appended notes of some length"], ids=["zeros", "ones", "words"])
def test_bytes_after_the_last_box_are_no_cut(whole, tmp_path, filling):
    (tmp_path / "a.mp4").write_bytes(whole["mp4"] + filling)
    assert not ends_early(tmp_path / "a.mp4")
    assert media.probe(tmp_path / "a.mp4", "video").fps == 25


def test_media_are_not_mistaken_for_something_else(whole):
    assert {suffix: kind_of_bytes(data[:4096]) for suffix, data in whole.items()} == dict.fromkeys(whole)


def test_a_fragment_that_counts_more_samples_than_bytes_is_refused_before_memory_is_reserved(tmp_path):
    make(path := tmp_path / "a.mp4", Recipe(seconds=2, fragmented=True))
    data = bytearray(path.read_bytes())
    assert not ends_early(path)
    run = data.index(b"trun")
    data[run + 8 : run + 12] = (80_000_000).to_bytes(4, "big")
    path.write_bytes(data)
    with pytest.raises(media.MediaError) as caught:
        media.probe(path, "video")
    assert caught.value.reason == "truncated"
