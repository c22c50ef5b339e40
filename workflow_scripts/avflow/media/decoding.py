"""From a media file to what a model's encoders take: frames at the model's size, and sound."""

import math

import numpy as np
import torch

from . import encoder_inputs, files, frame_plan, video
from .frame_plan import Clip, Plan, Sampling
from .sampling import resized_shape


def decode(path, kind: str, how: Sampling, text: int = 0, media: int = 1, reader: str = "auto", largest: int = video.LARGEST):
    """Decode a medium. Returns its arrays and its `Plan`, which is None without frames.

    The arrays are those that apply of frames uint8 (T, 3, H, W), fps () and audio float32 (n,) at 16 kHz. kind: "video", "image"
    or "audio". text, media: as in `Clip`. reader, largest: as in `read_frames`.

    Raises MediaError.
    """
    out, planned = {}, None
    if kind == "audio" or kind == "video" and files.has_audio(path):
        out["audio"] = files.read_audio(path)
    if kind == "video":
        samples = len(out.get("audio", ()))
        frames, planned = _frames(path, how, reader, largest, samples=samples, text=text, media=media)
        out |= {"frames": frames, "fps": np.array(planned.fps, np.float64)}
    elif kind == "image":
        picture = files.read_image(path, largest).copy()
        height, width = resized_shape(*picture.shape[-2:], how.multiple, how.min_pixels, how.max_pixels)
        out["frames"] = encoder_inputs.resize(torch.from_numpy(picture), height, width).numpy()
        planned = Plan(1, 1, 0.0, height, width, False, height * width // how.multiple**2, 0, math.inf)
    return out, planned


def _frames(path, how: Sampling, reader: str, largest: int, **besides) -> tuple[np.ndarray, Plan]:
    """The frames of a video and their plan. besides: the fields of `Clip` that pictures do not determine."""
    resize = encoder_inputs.resize if how.interval is not None else encoder_inputs.resize_video  # as each model's own code does
    size, plans = video.first_size(path, largest), []

    def choose(shown):
        clip = Clip(len(shown.times), shown.seconds, shown.rate, *size, **besides)
        plans.append(frame_plan.plan(clip, how))
        return frame_plan.indices(shown, how, plans[-1]), plans[-1]

    def shrink(frames, _):
        return resize(torch.from_numpy(frames), plans[-1].height, plans[-1].width).numpy()

    return video.read_chosen(path, choose, shrink, reader, largest)
