"""A medium takes the shape of another: resized, cut, or continued with its own end."""

import pytest
import torch

from avflow.errors import Unusable
from avflow.media.fitting import fit


def clip(frames, height, width, samples, fps=2.0):
    pictures = torch.arange(frames, dtype=torch.uint8)[:, None, None, None].expand(frames, 3, height, width).contiguous()
    return {"frames": pictures, "fps": fps, "audio": torch.arange(samples, dtype=torch.float32)}


def test_a_shorter_clip_goes_on_with_its_last_frame_and_the_end_of_its_sound():
    found = fit(clip(3, 28, 28, 10, 4.0), clip(5, 56, 84, 26))
    assert found["frames"].shape == (5, 3, 56, 84) and found["frames"][:, 0, 0, 0].tolist() == [0, 1, 2, 2, 2]
    assert found["fps"] == 2.0 and found["audio"].tolist() == [*range(10), *range(10), *range(4, 10)]


def test_a_longer_clip_is_cut_and_one_of_the_same_shape_stays_as_it_is():
    found = fit(clip(9, 28, 28, 30), clip(2, 28, 28, 7))
    assert found["frames"][:, 0, 0, 0].tolist() == [0, 1] and found["audio"].tolist() == list(range(7))
    same = clip(4, 28, 28, 12)
    assert all(torch.equal(fit(same, same)[name], same[name]) for name in ("frames", "audio"))


def test_what_the_other_medium_lacks_is_left_out_and_what_this_one_lacks_is_said():
    silent = {name: value for name, value in clip(2, 28, 28, 0).items() if name != "audio"}
    assert "audio" not in fit(clip(2, 28, 28, 5), silent)
    with pytest.raises(Unusable, match="the medium that takes another's place has no audio"):
        fit(silent, clip(2, 28, 28, 5))
