"""From decoded media to encoder inputs, as the Qwen processors make them, but without torchvision.

`patchify` and `log_mel` reimplement Qwen2-VL's video processor and Whisper's feature extractor (transformers 5.17) in plain
torch, on any device. So training, the miniature and the real models share one code path. Tests check that the results equal
those of the official classes.
"""

import functools
import math

import numpy as np
import torch
import torch.nn.functional as F

from .sampling import SAMPLE_RATE

IMAGE_MEAN = (0.48145466, 0.4578275, 0.40821073)  # OpenAI CLIP, as in Qwen2-VL's preprocessor_config.json
IMAGE_STD = (0.26862954, 0.26130258, 0.27577711)
FFT, HOP, MELS = 400, 160, 128


def resize(frames: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Bicubic, antialiased resize of uint8 frames (T, 3, H, W) on the CPU.

    The result equals torchvision's in the official processors bit for bit. On uint8, torch rounds and clips between its two
    passes, as Pillow does: torch and Pillow differ by at most 2 of 255 levels.
    """
    if frames.shape[-2:] == (height, width):
        return frames
    return F.interpolate(frames, (height, width), mode="bicubic", antialias=True, align_corners=False)


def resize_video(frames: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Resize as `resize` does, but in floats and rounded once, at the end.

    The result equals that of qwen-omni-utils bit for bit. qwen-omni-utils resizes a video before the processor gets it. `resize`
    differs from this function by up to 10 of 255 levels at edges.
    """
    if frames.shape[-2:] == (height, width):
        return frames
    shape = dict(size=(height, width), mode="bicubic", antialias=True, align_corners=False)
    few = frames.split(8)  # a whole video in floats may not fit into memory
    return torch.cat([F.interpolate(f.float(), **shape).clamp_(0, 255).round_().to(torch.uint8) for f in few])


def patchify(
    frames: torch.Tensor, patch: int, merge: int, temporal: int, mean=IMAGE_MEAN, std=IMAGE_STD
) -> tuple[torch.Tensor, tuple[int, int, int]]:
    """Cut frames (T, 3, H, W), uint8 or float in 0..1, into patches, normalised by each colour's mean and standard deviation.

    Returns the patches (grid_t * grid_h * grid_w, 3 * temporal * patch^2), in the order in which the vision encoder merges them,
    and (grid_t, grid_h, grid_w). If T is not a multiple of `temporal`, as for a single image, the last frame is repeated.
    """
    x = frames.float() / 255 if frames.dtype == torch.uint8 else frames
    mean, std = (torch.tensor(v, device=x.device)[:, None, None] for v in (mean, std))
    x = (x - mean) / std
    if missing := -x.shape[0] % temporal:
        x = torch.cat([x, x[-1:].expand(missing, -1, -1, -1)])
    t, channels, height, width = x.shape
    grid = (t // temporal, height // patch, width // patch)
    x = x.view(grid[0], temporal, channels, grid[1] // merge, merge, patch, grid[2] // merge, merge, patch)
    x = x.permute(0, 3, 6, 4, 7, 2, 1, 5, 8)  # (t, h/merge, w/merge, merge, merge, channels, temporal, patch, patch)
    return x.reshape(math.prod(grid), -1), grid


def mel_frames(samples: int) -> int:
    """Number of log-mel frames for `samples` samples at 16 kHz: 100 per second, rounded up."""
    return -(-samples // HOP)


@functools.cache
def _filters() -> np.ndarray:
    """Whisper's mel filters (1 + FFT / 2, MELS) float32."""
    from transformers.audio_utils import mel_filter_bank  # only here, because jobs that decode media need no transformers

    filters = mel_filter_bank(1 + FFT // 2, MELS, 0.0, 8000.0, SAMPLE_RATE, norm="slaney", mel_scale="slaney")
    return filters.astype(np.float32)


def log_mel(audio: torch.Tensor, length: int | None = None, within: int | None = None) -> torch.Tensor:
    """Whisper's log-mel spectrogram: (..., samples) at 16 kHz -> (..., 128, ceil(samples / 160)).

    The result equals the official extractor's, which first pads with zeros to 30 or 300 s. Only the zeros that the last windows
    reach matter, so only those are added.

    length: pad the sound to this many samples instead, and keep all their frames. within: the end of the official padding, in
    samples; a sound that reaches it is reflected there, and no zeros follow.
    """
    frames = mel_frames(length or audio.shape[-1])
    total = length or min((frames + 3) * HOP, within or math.inf)
    padded = F.pad(audio.reshape(-1, audio.shape[-1]), (0, total - audio.shape[-1]))
    window = torch.hann_window(FFT, device=audio.device)
    # the two frames after the kept ones still overlap the sound's end; the floor below depends on the loudest of all of them
    heard = frames if length else min(frames + 2, total // HOP)
    spectrum = torch.stft(padded, FFT, HOP, window=window, return_complex=True)[..., :heard].abs() ** 2
    filters = torch.from_numpy(_filters()).to(audio.device)
    mel = (filters.T @ spectrum).clamp(min=1e-10).log10().view(*audio.shape[:-1], MELS, heard)
    return (torch.maximum(mel[..., :frames], mel.amax((-2, -1), keepdim=True) - 8.0) + 4.0) / 4.0
