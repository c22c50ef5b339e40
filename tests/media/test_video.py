"""Frames are chosen by what the decoder shows. `test_one_clock.py` tries every container; this file tries single mechanisms.

Also tests avflow.media.decord_check.
"""

import av
import numpy as np
import pytest
from clip_recipes import Recipe
from clip_writer import make
from striped_clips import number_of, striped

from avflow import media
from avflow.media import clock, video

SKIPPED = [("mp4", "libx264", "aac"), ("mp4", "mpeg4", "aac"), ("ts", "mpeg2video", "mp2")]


def reason(call, *arguments, **named):
    with pytest.raises(media.MediaError) as caught:
        call(*arguments, **named)
    return caught.value.reason


@pytest.mark.parametrize("kind", SKIPPED, ids="-".join)
def test_leaving_out_unneeded_pictures_changes_no_other(tmp_path, kind, monkeypatch):
    make(path := tmp_path / f"a.{kind[0]}", Recipe(*kind, b_frames=2))
    decoded = []
    monkeypatch.setattr(video, "SKIPPING", ())
    everything = media.read_frames(path, 5, 768)[0]
    monkeypatch.undo()
    counted = video.pictures

    def counting(*arguments, **named):
        for one in counted(*arguments, **named):
            decoded.append(one[0])
            yield one

    monkeypatch.setattr(video, "pictures", counting)
    assert np.array_equal(media.read_frames(path, 5, 768)[0], everything)
    assert len(decoded) < 120, f"{len(decoded)} of 150 pictures were decoded: none was left out"


def test_packets_that_announce_other_pictures_than_are_shown_are_not_believed(tmp_path, monkeypatch):
    make(path := tmp_path / "a.mp4", Recipe(b_frames=2))
    wanted = media.read_frames(path, 2, 768)[0]
    honest = clock.scan(path)
    earlier = (honest.stamps[0] - 512, *honest.stamps)  # a picture before the first, which no decoder hands out
    false = clock.Index(earlier, np.append(honest.times[0] - 0.04, honest.times), True, *list(vars(honest).values())[3:])
    monkeypatch.setattr(video, "scan", lambda path: false)
    assert np.array_equal(media.read_frames(path, 2, 768)[0], wanted)


def test_pictures_that_change_their_size_halfway_are_scaled_to_the_first(tmp_path):
    data = b""
    for size in ((160, 64), (80, 32)):
        with av.open(str(tmp_path / "part.ts"), "w") as container:
            stream = container.add_stream("mpeg2video", rate=25)
            stream.width, stream.height, stream.pix_fmt, stream.bit_rate = *size, "yuv420p", 2_000_000
            for number in range(50):
                frame = av.VideoFrame.from_ndarray(striped(number), format="rgb24").reformat(*size, "yuv420p")
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        data += (tmp_path / "part.ts").read_bytes()
    (tmp_path / "a.ts").write_bytes(data)
    frames = media.read_frames(tmp_path / "a.ts", 2, 768)[0]
    assert frames.shape[1:] == (3, 64, 160) and len(frames) in (8, 9)
    assert [number_of(frame) for frame in frames[:4]] == [0, 12, 25, 37]
    assert [number_of(frame) for frame in frames[4:8]] == pytest.approx([0, 12, 25, 37], abs=1)


def test_a_video_of_too_many_pixels_or_of_extreme_shape_is_refused(tmp_path):
    make(path := tmp_path / "a.mp4", Recipe())
    assert reason(media.probe, path, "video", largest=160 * 64 - 1) == "too_large"
    assert reason(media.read_frames, path, 2, 768, largest=160 * 64 - 1) == "too_large"
    assert media.probe(path, "video", largest=160 * 64).width == 160
    with av.open(str(tmp_path / "long.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=5)
        stream.width, stream.height, stream.pix_fmt = 3000, 10, "yuv444p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((10, 3000, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    assert reason(media.probe, tmp_path / "long.mkv", "video") == "extreme_shape"


def test_decord_is_refused_where_its_times_are_right_and_its_pictures_wrong(tmp_path):
    make(path := tmp_path / "a.mp4", Recipe("mp4", "libx265", seconds=8, b_frames=3, open_gop=True))
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name == "hevc"
    frames = media.read_frames(path, 2, 768)[0]
    try:
        theirs = media.read_frames(path, 2, 768, reader="decord")[0]
    except media.MediaError as error:
        assert error.reason == "misread" and "set reader to auto in config.yaml" in str(error)
    else:
        assert np.abs(theirs.astype(int) - frames).mean() < 2


def test_decord_is_refused_on_a_trimmed_clip(tmp_path):
    make(path := tmp_path / "a.mp4", Recipe(keep=((1.4, 5),), b_frames=2))
    assert reason(media.probe, path, "video", reader="decord") == "misread"
    assert media.probe(path, "video").reader == "pyav"
