"""The synthetic world as pictures and sound, in batches, the same for files and for training."""

import math

import torch

from . import world

RGB = torch.tensor([[0.90, 0.10, 0.10], [0.10, 0.75, 0.15], [0.15, 0.25, 0.95], [0.95, 0.85, 0.10]])


def _dial(scenes: world.Scenes, plain: float, lost: float, dims: int):
    """A factor for every clip, (batch, 1, ..) of `dims` dimensions: from `plain` at faintness 0, evenly in its logarithm, to
    `lost` at 1. For scenes that are all plain it is the number `plain`."""
    if scenes.faint is None:
        return plain
    return (plain * (lost / plain) ** scenes.faint).view(-1, *[1] * (dims - 1))


def render_frames(scenes: world.Scenes, times, size: int, g: torch.Generator) -> torch.Tensor:
    """The clips' pictures at `times` (seconds): (batch, len(times), 3, size, size), float in 0..1.

    Within each second the shape drifts over a grey background. Without a shape there is only background. Edges are antialiased.
    At faintness 1 a shape has an eighth of its size and of its contrast.
    """
    device = scenes.shape.device
    times = torch.as_tensor(times, device=device, dtype=torch.float32)
    batch, seconds = scenes.shape.shape
    second = times.long().clamp(max=seconds - 1)  # (frames,)

    def uniform(low, high):
        drawn = low + (high - low) * torch.rand(batch, seconds, generator=g, device=device)
        return drawn[:, second, None, None]  # (batch, frames, 1, 1)

    grid = (torch.arange(size, device=device) + 0.5) / size
    drift = (times - second)[None, :, None, None]
    x = grid - uniform(0.40, 0.60) - drift * uniform(-0.08, 0.08)  # (batch, frames, 1, size)
    y = grid[:, None] - uniform(0.40, 0.60) - drift * uniform(-0.08, 0.08)  # (batch, frames, size, 1)
    r = uniform(0.26, 0.38) * _dial(scenes, 1.0, 0.125, 4)
    ax, ay = x.abs(), y.abs()
    inside = torch.stack(  # signed distance in picture widths, positive inside: (shapes, batch, frames, size, size)
        [
            r - (x * x + y * y).sqrt(),
            r * 0.85 - torch.maximum(ax, ay),
            torch.minimum(r * 0.8 - y, ((y + r) * 0.55 - ax) * 0.88),
            torch.minimum(r - torch.maximum(ax, ay), r * 0.3 - torch.minimum(ax, ay)),
        ]
    )
    kind = scenes.shape[:, second]
    distance = inside.gather(0, kind.clamp(min=0)[None, :, :, None, None].expand(1, -1, -1, size, size))[0]
    cover = torch.sigmoid(distance * size * 2.0) * (kind != world.NOTHING)[..., None, None]  # (batch, frames, size, size)
    paint = RGB.to(device)[scenes.colour[:, second].clamp(min=0)][..., None, None]  # (batch, frames, 3, 1, 1)
    ground = uniform(0.35, 0.60)[:, :, None]
    cover = cover[:, :, None] * _dial(scenes, 1.0, 0.125, 5)
    grain = uniform(0.0, 0.05)[:, :, None]  # a codec smooths grain, so the model must know every amount of it
    noise = grain * torch.randn(batch, len(times), 3, size, size, generator=g, device=device)
    return (cover * paint + (1 - cover) * ground + noise).clamp(0, 1)


def render_audio(scenes: world.Scenes, rate: int, g: torch.Generator) -> torch.Tensor:
    """The clips' sound tracks: (batch, seconds * rate), float in -1..1. Silence is faint noise, never exact zeros.

    A tone is a sine. A buzz adds its odd harmonics up to the ninth, below 8 kHz. A hiss is white noise. A chirp is a sine that
    rises by two octaves. Pitch varies over two octaves, amplitude by a factor of three. The noise density per hertz is the same
    at every rate. So a track rendered at 48 kHz and resampled to 16 kHz is as noisy as one rendered at 16 kHz. At faintness 1 the
    noise is 26 dB louder, and the sound 36 dB softer.
    """
    device = scenes.sound.device
    batch, seconds = scenes.sound.shape
    t = torch.arange(rate, device=device) / rate

    def uniform(low, high):
        return low + (high - low) * torch.rand(batch, seconds, 1, generator=g, device=device)

    pitch = 220.0 * 2 ** uniform(0.0, 2.0)
    phase = 2 * math.pi * pitch * t  # (batch, seconds, rate)
    buzz = sum(torch.sin(k * phase) / k * (k * pitch < 8000) for k in (1, 3, 5, 7, 9))
    density = (rate / 16000) ** 0.5
    hiss = 0.5 * density * torch.randn(batch, seconds, rate, generator=g, device=device)
    chirp = torch.sin(2 * math.pi * pitch * (t + 1.5 * t * t))
    voices = torch.stack([torch.sin(phase), buzz, hiss, chirp])
    kind = scenes.sound
    wave = voices.gather(0, kind.clamp(min=0)[None, :, :, None].expand(1, -1, -1, rate))[0]
    envelope = torch.sin(math.pi * t).clamp(min=0).sqrt()
    wave = wave * envelope * uniform(0.15, 0.45) * (kind != world.NOTHING)[..., None] * _dial(scenes, 1.0, 0.0158, 3)
    noise = _dial(scenes, 0.003, 0.06, 2) * density
    wave = wave.flatten(1) + noise * torch.randn(batch, seconds * rate, generator=g, device=device)
    return wave.clamp(-1, 1)
