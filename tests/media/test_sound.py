"""Sound is read in blocks, whatever its format, and bad samples are refused. `test_one_clock.py` holds it to the pictures."""

import os
import subprocess
import sys

import librosa
import numpy as np
import pytest
import soundfile
from conftest import ROOT
from examples import RATE, tone

from avflow import media
from avflow.media import sound


def reason(path):
    with pytest.raises(media.MediaError) as caught:
        media.probe(path, "audio")
    assert "\n" not in str(caught.value) and path.name in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize(("index", "value"), [(0, np.nan), (-1, np.inf), (5000, -np.inf), (5000, 30000.0)])
def test_one_sample_that_is_no_sound_drops_the_file(tmp_path, index, value):
    samples = tone(1.0, 16000)
    samples[index] = value
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
    assert reason(tmp_path / "a.wav") == "bad_samples"
    with pytest.raises(media.MediaError):
        media.read_audio(tmp_path / "a.wav")


def test_a_sound_a_little_above_full_scale_is_kept(tmp_path):
    soundfile.write(tmp_path / "a.wav", 4 * tone(1.0, 16000), 16000, subtype="FLOAT")
    assert np.abs(media.read_audio(tmp_path / "a.wav")).max() == pytest.approx(1.2, abs=1e-3)


@pytest.mark.parametrize(
    ("samples", "rate", "accepted"), [(320, 16000, False), (321, 16000, True), (960, 48000, False), (964, 48000, True)]
)
def test_a_sound_too_short_for_one_token_is_dropped(tmp_path, samples, rate, accepted):
    soundfile.write(tmp_path / "a.wav", tone(1.0, rate)[:samples], rate)
    if accepted:
        assert len(media.read_audio(tmp_path / "a.wav")) >= media.SHORTEST_SOUND
    else:
        assert reason(tmp_path / "a.wav") == "too_short"


def test_the_rate_and_the_channels_may_change_on_the_way(tmp_path):
    whole = b""
    for rate, hertz, channels in ((44100, 440, 1), (22050, 880, 2), (48000, 660, 1)):
        samples = tone(2.0, rate, hertz)
        soundfile.write(tmp_path / "part.mp3", np.stack([samples] * channels, 1), rate)
        whole += (tmp_path / "part.mp3").read_bytes()
    (tmp_path / "a.mp3").write_bytes(whole)
    facts = media.probe(tmp_path / "a.mp3", "audio")
    heard = media.read_audio(tmp_path / "a.mp3")
    assert facts.seconds == pytest.approx(6, abs=0.3) and len(heard) == pytest.approx(96000, abs=4800)
    for middle, hertz in ((16000, 440), (48000, 880), (80000, 660)):
        spectrum = np.abs(np.fft.rfft(heard[middle - 8000 : middle + 8000]))
        assert spectrum.argmax() == hertz


@pytest.mark.parametrize("title", ["Gesprächsrunde".encode("latin-1"), "标题".encode("gbk"), b"\xff\xfe\x00\xd8", b"\x80" * 99])
def test_tags_may_be_in_any_encoding(tmp_path, title):
    soundfile.write(tmp_path / "a.wav", tone(1.0, 16000), 16000)
    data = (tmp_path / "a.wav").read_bytes()
    title += bytes(len(title) % 2)
    tag = b"INFOINAM" + len(title).to_bytes(4, "little") + title
    data += b"LIST" + len(tag).to_bytes(4, "little") + tag
    (tmp_path / "a.wav").write_bytes(b"RIFF" + (len(data) - 8).to_bytes(4, "little") + data[8:])
    assert media.probe(tmp_path / "a.wav", "audio").seconds == 1.0 and len(media.read_audio(tmp_path / "a.wav")) == 16000


def test_blocks_leave_no_seam(tmp_path, monkeypatch):
    noise = 0.1 * np.random.default_rng(0).standard_normal(int(7.3 * RATE)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", noise, RATE, subtype="FLOAT")
    monkeypatch.setattr(sound, "BLOCK", 2)
    blocks, whole = media.read_audio(tmp_path / "a.wav"), librosa.resample(noise, orig_sr=RATE, target_sr=16000)
    assert blocks.shape == whole.shape and np.abs(blocks - whole).max() < 1e-5


@pytest.mark.slow
def test_an_hour_of_sound_is_probed_in_300_megabytes(tmp_path):
    with soundfile.SoundFile(tmp_path / "hour.flac", "w", 48000, 1) as file:
        for _ in range(60):
            file.write(np.tile(tone(1.0), 60))
    code = (
        "import re, sys; from avflow import media; print(media.probe(sys.argv[1], 'audio').seconds,"
        " re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1])"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "hour.flac")]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT / "workflow_scripts")}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    seconds, kilobytes = map(float, done.stdout.split())
    assert seconds == pytest.approx(3600, abs=1) and kilobytes < 300e3


@pytest.mark.parametrize("codec", ["OPUS", "VORBIS"])
def test_files_joined_by_appending_are_heard_to_their_end(tmp_path, codec):
    soundfile.write(tmp_path / "part.ogg", tone(2.0, 48000), 48000, format="OGG", subtype=codec)
    (tmp_path / "a.ogg").write_bytes(2 * (tmp_path / "part.ogg").read_bytes())
    assert media.probe(tmp_path / "a.ogg", "audio").seconds == pytest.approx(4, abs=0.05)
    heard = media.read_audio(tmp_path / "a.ogg")
    assert np.sqrt(np.mean(heard[8000:24000] ** 2)) == pytest.approx(np.sqrt(np.mean(heard[40000:56000] ** 2)), rel=0.05)


@pytest.mark.parametrize(
    "kind",
    [
        ("ogg", "OGG", "OPUS"),
        ("w64", "W64", "PCM_16"),
        ("au", "AU", "PCM_16"),
        ("caf", "CAF", "PCM_16"),
        ("aiff", "AIFF", "PCM_16"),
        ("mp3", "MP3", "MPEG_LAYER_III"),
    ],
)
def test_a_cut_sound_is_truncated_where_its_container_shows_it(tmp_path, kind):
    soundfile.write(tmp_path / f"a.{kind[0]}", tone(2.0, 48000), 48000, format=kind[1], subtype=kind[2])
    data = (tmp_path / f"a.{kind[0]}").read_bytes()
    assert media.probe(tmp_path / f"a.{kind[0]}", "audio").seconds == pytest.approx(2, abs=0.1)
    for share in (0.3, 0.6, 0.9):
        (tmp_path / f"a.{kind[0]}").write_bytes(data[: int(share * len(data))])
        assert reason(tmp_path / f"a.{kind[0]}") == "truncated"


def test_channels_are_averaged_so_that_no_mix_exceeds_full_scale(tmp_path):
    for channels in (1, 2, 6, 16):
        soundfile.write(tmp_path / "a.wav", np.stack([tone(1.0, 16000)] * channels, 1), 16000, subtype="FLOAT")
        assert np.abs(media.read_audio(tmp_path / "a.wav")).max() == pytest.approx(0.3, abs=1e-3)
