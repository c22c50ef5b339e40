"""Reading media files: which are decoded, which are refused, and for which reason. Also tests avflow.media.video."""

import os
import shutil
import subprocess
import sys

import av
import numpy as np
import pytest
import soundfile
import torch
from conftest import ROOT
from examples import RATE, pictures, tone
from PIL import Image

from avflow.media import files
from avflow.media import video as video_module
from avflow.media.files import MediaError
from avflow.miniature import rendering


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.mp4"
    files.write_clip(path, pictures(), 10, tone(2.0), RATE)
    return path


def patched(path, old, new, count=1):
    """The file with bytes replaced."""
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, count))
    return path


def reason(call, *arguments, **named):
    with pytest.raises(MediaError) as caught:
        call(*arguments, **named)
    assert "\n" not in str(caught.value) and str(arguments[0]) in str(caught.value)
    return caught.value.reason


def test_a_clip_is_probed_and_decoded_at_exactly_half_seconds(clip):
    facts = files.probe(clip, "video", needs_audio=True)
    assert (facts.width, facts.height, facts.fps, facts.audio_rate, facts.audio_channels) == (64, 48, 10.0, RATE, 1)
    assert abs(facts.seconds - 2.0) < 1e-3
    frames, fps = files.read_frames(clip, 2, 768)
    assert frames.shape == (4, 3, 48, 64) and frames.dtype == np.uint8 and fps == 2
    assert np.allclose(frames[:, :, 30, 40].mean(1), 40 + 8 * np.array([0, 5, 10, 15]), atol=4)


def test_sound_comes_back_in_time_and_pitch(clip):
    samples = files.read_audio(clip)
    assert samples.dtype == np.float32 and abs(len(samples) - 32000) < 400
    spectrum = np.abs(np.fft.rfft(samples[8000:24000]))
    assert spectrum.argmax() == 440
    reference = tone(2.0, 16000)[4000:28000]
    lags = range(-40, 41)
    best = max(lags, key=lambda lag: np.dot(reference, samples[4000 + lag : 28000 + lag]))
    assert abs(best) <= 2, f"sound is {best} samples late"


def test_decord_reads_on_request_and_gives_the_same_frames(clip):
    frames, _ = files.read_frames(clip, 2, 768)
    assert np.array_equal(frames, files.read_frames(clip, 2, 768, reader="decord")[0])
    assert [files.probe(clip, "video", reader=name).reader for name in ("auto", "pyav", "decord")] == ["pyav", "pyav", "decord"]


def test_batches_change_no_frame_and_are_shrunk_one_by_one(clip, monkeypatch):
    whole, _ = files.read_frames(clip, 4, 768)
    spread, _ = files.read_spread_frames(clip, 0.1, 4, 768)
    monkeypatch.setattr(video_module, "BATCH", 3 * 48 * 64 * 3)  # three frames
    seen = []

    def shrink(frames, count):
        seen.append((len(frames), count))
        return frames[:, :, ::2, ::2]

    assert np.array_equal(files.read_frames(clip, 4, 768, shrink)[0], whole[:, :, ::2, ::2])
    assert seen == [(3, 8), (3, 8), (2, 8)]
    assert np.array_equal(files.read_spread_frames(clip, 0.1, 4, 768)[0], spread)


def test_damage_in_the_middle_is_found_when_a_file_is_probed(clip):
    data = bytearray(clip.read_bytes())
    start = data.index(b"mdat")
    for offset in range(200, 3000, 50):
        data[start + offset] ^= 0x5A
    clip.write_bytes(data)
    assert reason(files.probe, clip, "video") == "damaged"


def test_a_video_track_without_a_picture_has_a_reason_of_its_own(tmp_path):
    with av.open(str(tmp_path / "none.mkv"), "w") as container:
        pictures, sound = container.add_stream("libx264", rate=10), container.add_stream("aac", rate=RATE, layout="mono")
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        frame = av.AudioFrame.from_ndarray(tone(0.02)[None, :960], format="fltp", layout="mono")
        frame.rate, frame.pts = RATE, 0
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    assert reason(files.probe, tmp_path / "none.mkv", "video") == "no_frames"


def test_a_rotated_video_is_turned_upright(clip):
    one, zero, minus = (v.to_bytes(4, "big", signed=True) for v in (0x10000, 0, -0x10000))
    upright = one + zero * 3 + one + zero * 3 + 0x40000000.to_bytes(4, "big")
    quarter = zero + one + zero + minus + zero * 4 + 0x40000000.to_bytes(4, "big")
    data = clip.read_bytes()
    at = data.index(upright, data.index(b"tkhd"))
    clip.write_bytes(data[:at] + quarter + data[at + 36 :])
    frames, _ = files.read_frames(clip, 2, 768)
    assert frames.shape == (4, 3, 64, 48)
    corners = [frames[0, :, y, x].mean() for y, x in ((4, 4), (4, 44), (60, 44), (60, 4))]
    assert int(np.argmax(corners)) == 1, f"the white corner is at {corners}"
    assert files.probe(clip, "video").width == 48


def test_an_odd_size_is_decoded_as_it_is(tmp_path):
    with av.open(str(tmp_path / "odd.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 63, 47, "yuv444p"
        for frame in pictures(10, 47, 63):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    frames, _ = files.read_frames(tmp_path / "odd.mp4", 2, 768)
    assert frames.shape == (2, 3, 47, 63)
    assert reason(files.probe, tmp_path / "odd.mp4", "video", needs_audio=True) == "no_audio"


def test_bad_videos_have_named_reasons(clip, tmp_path):
    empty, garbage, cut, front = (tmp_path / f"{n}.mp4" for n in ("empty", "garbage", "cut", "front"))
    empty.touch()
    garbage.write_bytes(b"<html>not found</html>" * 100)
    cut.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])  # the index is at the end of the file
    with av.open(str(clip)) as source, av.open(str(front), "w", options={"movflags": "faststart"}) as target:
        streams = {s.index: target.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    assert files.probe(front, "video").fps == 10
    front.write_bytes(front.read_bytes()[: int(front.stat().st_size * 0.6)])  # here it is at the beginning
    assert reason(files.probe, tmp_path / "none.mp4", "video") == "missing"
    assert reason(files.probe, empty, "video") == "empty_file"
    assert reason(files.probe, garbage, "video") == "unreadable"
    assert reason(files.probe, cut, "video") == "truncated"
    assert reason(files.probe, front, "video") == "truncated"
    soundfile.write(tmp_path / "sound.wav", tone(1.0), RATE)
    assert reason(files.probe, tmp_path / "sound.wav", "video") == "no_video"


def test_a_stereo_wav_at_44100_becomes_mono_at_16000(tmp_path):
    left, right = tone(1.0, 44100, 440), tone(1.0, 44100, 880)
    soundfile.write(tmp_path / "s.wav", np.stack([left, right], 1), 44100)
    samples = files.read_audio(tmp_path / "s.wav")
    assert len(samples) == 16000
    spectrum = np.abs(np.fft.rfft(samples))
    assert sorted(spectrum.argsort()[-2:]) == [440, 880]
    facts = files.probe(tmp_path / "s.wav", "audio")
    assert (facts.audio_rate, facts.audio_channels, round(facts.seconds, 3)) == (44100, 2, 1.0)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_sound_is_resampled_from_every_rate(tmp_path, rate):
    import librosa

    soundfile.write(tmp_path / "s.wav", tone(1.0, rate)[:-3], rate, subtype="FLOAT")
    samples, _ = soundfile.read(tmp_path / "s.wav", dtype="float32")
    assert np.array_equal(files.read_audio(tmp_path / "s.wav"), librosa.resample(samples, orig_sr=rate, target_sr=16000))


def test_transparency_lies_over_white_and_exif_turns(tmp_path):
    Image.new("RGBA", (8, 6), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (files.read_image(tmp_path / "clear.png") == 255).all()
    picture = Image.new("RGB", (8, 6), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif)
    assert files.read_image(tmp_path / "turned.jpg").shape == (1, 3, 8, 6)
    (tmp_path / "bad.png").write_bytes((tmp_path / "clear.png").read_bytes()[:40])
    assert reason(files.probe, tmp_path / "bad.png", "image") == "damaged"


def test_the_same_scene_is_written_as_the_same_bytes(tmp_path):
    from render_miniature import render_clip

    for number in (1, 8):
        written = set()
        for i in range(5):
            render_clip(("mini-video", 0, "medley", 0.5, number, tmp_path / f"{i}.mp4"))
            written.add((tmp_path / f"{i}.mp4").read_bytes())
        assert len(written) == 1


@pytest.mark.slow
def test_decoding_works_without_ffmpeg_on_the_path(clip):
    path = str(clip)
    code = f"from avflow.media import *; print(read_frames({path!r}, 2, 8)[0].shape, len(read_audio({path!r})) > 0)"
    environment = {"PATH": "", "PYTHONPATH": str(ROOT / "workflow_scripts"), "HOME": os.environ.get("HOME", "")}
    assert shutil.which("ffmpeg", path="") is None
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "(4, 3, 48, 64) True", done.stderr


def test_decoded_clips_stay_close_to_what_training_sees(world_files):
    """The codec's cost: pictures within four levels of 255 of a noiseless rendering's neighbourhood, sound within -20 dB."""
    from render_miniature import clip_scene

    scene, g = clip_scene("mini-video", 0, "single", 0.5, 1)
    drawn = rendering.render_frames(scene, [k / 10 for k in range(40)], 112, g)[0][::5]
    sound = rendering.render_audio(scene, RATE, g)[0].numpy()
    path = world_files / "mini-video/media/single_0001.mp4"
    decoded = torch.from_numpy(files.read_frames(path, 2, 768)[0]).float() / 255
    shrink = lambda x: torch.nn.functional.avg_pool2d(x, 4)  # noqa: E731
    assert (shrink(decoded) - shrink(drawn)).abs().mean() < 4 / 255
    import librosa

    want = librosa.resample(sound, orig_sr=RATE, target_sr=16000)
    heard = files.read_audio(path)[: len(want)]
    assert np.mean((heard - want) ** 2) < 0.01 * np.mean(want**2)


@pytest.mark.parametrize(("suffix", "start"), [("mp4", 0), ("ts", 0), ("mkv", 5), ("mov", 0), ("mkv", 0)])
def test_a_clip_in_another_container_gives_the_same_frames_and_sound(clip, tmp_path, suffix, start):
    path = tmp_path / f"again.{suffix}"
    with av.open(str(clip)) as source, av.open(str(path), "w") as target:
        streams = {s.index: target.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                later = round(start / packet.time_base)
                packet.pts, packet.dts = packet.pts + later, packet.dts + later
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    frames, fps = files.read_frames(clip, 5, 768)
    assert np.array_equal(files.read_frames(path, 5, 768)[0], frames) and fps == 5
    sound, again = files.read_audio(clip), files.read_audio(path)
    assert abs(len(sound) - len(again)) < 1600  # containers end the last packet differently
    apart = {lag: np.abs(sound[800:-1600] - again[800 + lag : len(sound) - 1600 + lag]).max() for lag in range(-8, 9)}
    assert min(apart.values()) < 0.03 and (suffix == "mkv" or apart[0] == 0)  # mkv rounds times to 1 ms, 16 samples
    assert abs(files.probe(path, "video").seconds - 2.0) < 2e-3
