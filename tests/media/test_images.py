"""Pictures come as 8-bit RGB whatever their depth. Those that cannot be used have a named reason."""

import numpy as np
import pytest
from PIL import Image

from avflow import media

RAMP = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(64, 0)  # (64, 256)
GREY = np.round(RAMP / 257)  # the same in 8 bits


def reason(path, **options):
    with pytest.raises(media.MediaError) as caught:
        media.probe(path, "image", **options)
    assert "\n" not in str(caught.value) and path.name in str(caught.value)
    return caught.value.reason, str(caught.value)


@pytest.mark.parametrize("suffix", ["png", "tif", "jp2"])
def test_a_ramp_of_16_bits_is_scaled_to_8(tmp_path, suffix):
    Image.fromarray(RAMP).save(tmp_path / f"a.{suffix}")
    picture = media.read_image(tmp_path / f"a.{suffix}")
    assert picture.shape == (1, 3, 64, 256) and picture.dtype == np.uint8
    assert (picture == GREY).all()


@pytest.mark.parametrize(("largest", "scale"), [(65535, 1), (1023, 64)])
def test_a_portable_greymap_is_scaled_by_its_own_maximum(tmp_path, largest, scale):
    (tmp_path / "a.pgm").write_bytes(b"P5 256 64 %d\n" % largest + (RAMP // scale).astype(">u2").tobytes())
    assert np.abs(media.read_image(tmp_path / "a.pgm")[0, 0] - GREY).max() <= 1


def test_floats_from_0_to_1_are_scaled_and_others_refused(tmp_path):
    Image.fromarray((RAMP / 65535).astype(np.float32)).save(tmp_path / "a.tif")
    assert (media.read_image(tmp_path / "a.tif") == GREY).all()
    for name, pixels in (
        ("b", GREY.astype(np.float32)),
        ("c", RAMP.astype(np.int32)),
        ("d", np.full((9, 9), np.nan, np.float32)),
    ):
        Image.fromarray(pixels).save(tmp_path / f"{name}.tif")
        assert reason(tmp_path / f"{name}.tif")[0] == "unsupported"


def test_a_small_file_that_unpacks_to_gigabytes_is_refused_by_a_limit_that_can_be_raised(tmp_path):
    Image.new("1", (20000, 10000)).save(tmp_path / "bomb.png")
    found, said = reason(tmp_path / "bomb.png")
    assert found == "too_large" and "20000 x 10000" in said and "max_picture_pixels (50000000) in config.yaml" in said
    Image.new("1", (300, 200)).save(tmp_path / "small.png")
    assert reason(tmp_path / "small.png", largest=59_999)[0] == "too_large"
    assert media.probe(tmp_path / "small.png", "image", largest=60_000).width == 300


@pytest.mark.parametrize(("size", "accepted"), [((2000, 10), True), ((2001, 10), False), ((3, 601), False), ((1, 1), True)])
def test_a_picture_more_than_200_times_as_long_as_wide_is_refused(tmp_path, size, accepted):
    Image.new("RGB", size).save(tmp_path / "a.png")
    if accepted:
        assert media.read_image(tmp_path / "a.png").shape == (1, 3, *size[::-1])
    else:
        assert reason(tmp_path / "a.png")[0] == "extreme_shape"


@pytest.mark.parametrize(
    ("content", "found", "remedy"),
    [
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "unsupported", "export it as PNG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50), "unsupported", "save it as PNG or JPEG"),
        (b"\r\n<!DOCTYPE HTML><html>Sign in</html>", "unreadable", "download it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "unreadable", "git lfs pull"),
        (b"PK\x03\x04" + bytes(50), "unreadable", "unpack it"),
        (b"%PDF-1.7\n", "unsupported", "export the page"),
        (b"plain words", "unreadable", "save it as PNG or JPEG"),
    ],
)
def test_what_is_no_picture_is_told_by_its_first_bytes(tmp_path, content, found, remedy):
    (tmp_path / "a.png").write_bytes(content)
    why, said = reason(tmp_path / "a.png")
    assert why == found and remedy in said


def test_a_picture_cut_off_in_its_pixels_is_truncated(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    assert reason(tmp_path / "a.png")[0] == "truncated"
    (tmp_path / "a.png").write_bytes(data[:20])
    assert reason(tmp_path / "a.png")[0] == "truncated"
    (tmp_path / "a.png").write_bytes(data[:1000] + bytes(1000) + data[2000:])
    assert reason(tmp_path / "a.png")[0] == "damaged"
