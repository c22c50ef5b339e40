"""decord, with each of its pictures compared to PyAV's: right times and counts do not show that its pictures are right."""

import numpy as np

from .containers import CONVERT, MediaError

try:
    import decord
except ImportError:  # no wheel for this platform
    decord = None

MOST_APART = 2.0  # mean levels of 255 between two readers of the same picture; neighbouring pictures differ by more, or are alike


def beside_decord(path, indices: list[int], times: np.ndarray):
    """A function that takes PyAV's pictures at `indices` in turn and returns decord's. Raises MediaError where they differ."""

    def misread(what):
        return MediaError("misread", f"{path}: decord {what}; set reader to auto in config.yaml, or {CONVERT}")

    if decord is None:
        raise misread("is not installed for this platform")
    try:
        video = decord.VideoReader(str(path), num_threads=1)
        starts = np.asarray(video.get_frame_timestamp(range(len(video))))[:, 0]
        if len(starts) != len(times):
            raise misread(f"finds {len(starts)} pictures, but {len(times)} are shown")
        late = np.abs((starts - starts[0]) - (times - times[0])).max()
        if not late < 2e-3:
            raise misread(f"misplaces pictures in time (by {late:.3g} s)")
        read = iter(indices)

        def checked(picture):
            try:
                theirs = video[next(read)].asnumpy()
            except (decord.DECORDError, RuntimeError, IndexError) as error:
                raise misread(f"fails ({str(error).strip().splitlines()[0][:80]})") from None
            if theirs.shape != picture.shape or np.abs(theirs.astype(np.int16) - picture).mean() > MOST_APART:
                raise misread("gives another picture than the one on show")
            return theirs

        return checked
    except (decord.DECORDError, RuntimeError, IndexError) as error:
        raise misread(f"cannot read it ({str(error).strip().splitlines()[0][:80]})") from None
