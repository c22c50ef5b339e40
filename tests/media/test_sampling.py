"""The number of frames taken from a video, and their size."""

import numpy as np
import pytest

from avflow.media import sampling


def test_a_long_video_is_sampled_at_a_whole_fraction_of_the_rate():
    times, rate = sampling.sample_times(10.0, 2.0, 8)
    assert rate == 2.0 / 3 and len(times) == 7 and np.allclose(times[1], 1.5)


def test_a_long_videos_pixels_are_shared_out_among_its_frames():
    most = lambda frames, total: sampling.most_pixels(frames, False, 768, 100352, 602112, total)  # noqa: E731
    assert most(30, 19267584) == 602112 and most(300, None) == 602112
    assert most(300, 19267584) == pytest.approx(2 * 19267584 / 300) and most(768, 19267584) == 105369
    height, width = sampling.resized_shape(720, 1280, 28, 100352, most(300, 19267584))
    assert 150 * (height // 28) * (width // 28) <= 24576
