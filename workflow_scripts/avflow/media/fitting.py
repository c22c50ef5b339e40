"""Bring one medium onto the grid and length of another, so that both become the same tokens in the same places."""

import torch

from ..errors import Unusable
from .encoder_inputs import resize_video


def fit(arrays: dict, like: dict) -> dict:
    """A medium's arrays with the shape of another's. Both hold those of frames, fps and audio that such a medium has.

    Frames are resized. What is too long is cut. What is too short goes on with its own end: the last frame, or the last part of
    the sound. fps is that of the other medium, so positions are equal. Raises Unusable if the sound or the pictures are missing.
    """
    if missing := [name for name in ("frames", "audio") if name in like and name not in arrays]:
        raise Unusable("no_partner", f"the medium that takes another's place has no {missing[0]}")
    found = {}
    if "frames" in like:
        count, _, height, width = like["frames"].shape
        frames = resize_video(arrays["frames"][:count], height, width)
        found["frames"] = torch.cat([frames, frames[-1:].expand(count - len(frames), -1, -1, -1)])
    if "fps" in like:
        found["fps"] = like["fps"]
    if "audio" in like:
        found["audio"] = _lengthened(arrays["audio"], len(like["audio"]))
    return found


def _lengthened(sound: torch.Tensor, length: int) -> torch.Tensor:
    while len(sound) < length:
        sound = torch.cat([sound, sound[-(length - len(sound)) :]])
    return sound[:length]
