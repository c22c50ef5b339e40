"""A seeded synthetic audio-visual world. For every question it is known whether sound, sight or both decide the answer.

A clip lasts four seconds. In every second it shows one coloured shape and holds one sound or silence. A task asks about the clip.
By construction the answer is decided by the sound (A), by the picture (V), or by both together (AV):

    hear        which sound is heard                                   A    one second sounds, the shape never changes
    see         which shape is shown                                   V    the same clips as hear
    while-hear  which colour is shown while the sound is heard         AV   the same clips again
    while-see   which sound is heard while the <colour> one is shown   AV   four sounds and four colours, shuffled
    either      which shape it is, by sight or by sound                A or V: a dial sets the share of clips with sound only

Matching items follow the rule "shape k makes sound k". They have an image reference and four audio candidates, or the reverse.
torch draws everything in batches, so the miniature's files and the training's batches come from the same code. All continuous
parameters (place, size, speed, grey level, pitch, loudness, noise) are drawn independently for every scene.
"""

import hashlib
import math
from dataclasses import dataclass

import torch

from ..errors import InputError

SHAPES = ("circle", "square", "triangle", "cross")
COLOURS = ("red", "green", "blue", "yellow")
SOUNDS = ("tone", "buzz", "hiss", "chirp")
ORDINALS = ("first", "second", "third", "fourth")
LETTERS = ("A", "B", "C", "D")
SECONDS = 4
NOTHING = -1  # a second without a sound, or without a shape

RGB = torch.tensor([[0.90, 0.10, 0.10], [0.10, 0.75, 0.15], [0.15, 0.25, 0.95], [0.95, 0.85, 0.10]])


@dataclass(frozen=True)
class Task:
    """One kind of question: its wording, its answer words, and the modality that decides it (A, V or AV)."""

    question: str
    answers: tuple
    needs: str
    clips: str  # the family of clips that it asks about


VIDEO_TASKS = {
    "hear": Task("Which sound is heard in the clip?", SOUNDS, "A", "single"),
    "see": Task("Which shape is shown in the clip?", SHAPES, "V", "single"),
    "while-hear": Task("Which colour is shown while the sound is heard?", COLOURS, "AV", "single"),
    "while-see": Task("Which sound is heard while the {colour} shape is shown?", SOUNDS, "AV", "medley"),
    "either": Task("Which shape is it, by sight or by sound?", SHAPES, "AV", "either"),
}
ITEM_TASKS = {
    "image-to-audio": Task("Out of the four sounds, which one matches the picture?", ORDINALS, "AV", "items"),
    "audio-to-image": Task("Out of the four pictures, which one matches the sound?", ORDINALS, "AV", "items"),
}
VIDEO_INSTRUCTION = (
    "Select the best answer to the following multiple-choice question based on the video."
    " Respond with only the letter (A, B, C, or D) of the correct option."
)
VIDEO_ENDING = "The best answer is:"
ITEMS_INSTRUCTION = "Answer with the option's letter from the given choices directly."
SYSTEM_PROMPT = "You are a helpful assistant."


def video_task(name: str) -> tuple[str, float]:
    """The task that a name means, and its share of clips with sound only. "either-25": sound only in 25 % of the clips.

    Without a number the share is 0.5. Raises InputError if the name is unknown.
    """
    task, _, percent = name.partition("-") if name.startswith("either-") else (name, "", "50")
    if task not in VIDEO_TASKS or not percent.isdigit() or int(percent) > 100:
        known = f"{', '.join(VIDEO_TASKS)}, either-0 to either-100"
        raise InputError(f"video task {name!r} is unknown; known: {known}")
    return task, int(percent) / 100


def seed_of(*parts) -> int:
    """A 63-bit seed from a readable path such as ``("mini-video", 7, "single", 12)``. Different paths give different seeds."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:8], "big") >> 1


def generator(*parts, device="cpu") -> torch.Generator:
    """A generator seeded by `seed_of`. The paths of files begin with a dataset's name, those of training with "train"."""
    return torch.Generator(device).manual_seed(seed_of(*parts))


@dataclass
class Scenes:
    """A batch of clips, second by second. Fields are indices into SHAPES, COLOURS and SOUNDS, or NOTHING; (batch, seconds)."""

    shape: torch.Tensor
    colour: torch.Tensor
    sound: torch.Tensor

    @property
    def batch(self):
        return self.shape.shape[0]


def _choice(g, *size):
    return torch.randint(0, 4, size, generator=g, device=g.device)


def _shuffled(g, batch):
    return torch.rand(batch, 4, generator=g, device=g.device).argsort(1)


def draw_scenes(family: str, batch: int, g: torch.Generator, audio_share: float = 0.5) -> Scenes:
    """Draw `batch` clips of a family.

    single   one shape throughout, four shuffled colours, a sound in exactly one second
    medley   one shape throughout, four shuffled colours, four shuffled sounds
    either   with probability `audio_share` a sound and no shape, else a shape and no sound
    items    one second: a shape, its sound and any colour

    Raises ValueError for an unknown family.
    """
    rows = torch.arange(batch, device=g.device)
    shape = _choice(g, batch)[:, None].repeat(1, SECONDS)
    colour = _shuffled(g, batch)
    if family == "single":
        sound = torch.full_like(shape, NOTHING)
        sound[rows, _choice(g, batch)] = _choice(g, batch)
    elif family == "medley":
        sound = _shuffled(g, batch)
    elif family == "either":
        by_ear = torch.rand(batch, 1, generator=g, device=g.device) < audio_share
        sound = torch.where(by_ear, shape, NOTHING)
        shape = torch.where(by_ear, NOTHING, shape)
        colour = torch.where(by_ear, NOTHING, colour)
    elif family == "items":
        shape = _choice(g, batch, 1)
        colour, sound = _choice(g, batch, 1), shape.clone()
    else:
        raise ValueError(f"clip family {family!r} is unknown; known: single, medley, either, items")
    return Scenes(shape, colour, sound)


def answers(task: str, scenes: Scenes, g: torch.Generator, cue=None):
    """The right answer (batch,), an index into the task's answer words, and the colour that the question names (batch,), or None.

    cue (batch,): the colour to ask about; None draws it. Raises InputError for an unknown task.
    """
    rows = torch.arange(scenes.batch, device=scenes.shape.device)
    sounding = (scenes.sound != NOTHING).int().argmax(1)
    if task == "hear":
        return scenes.sound[rows, sounding], None
    if task == "see":
        return scenes.shape[:, 0], None
    if task == "while-hear":
        return scenes.colour[rows, sounding], None
    if task == "while-see":
        second = _choice(g, scenes.batch) if cue is None else (scenes.colour == cue[:, None]).int().argmax(1)
        return scenes.sound[rows, second], scenes.colour[rows, second]
    if task == "either":
        return torch.maximum(scenes.shape[:, 0], scenes.sound[:, 0]), None
    raise InputError(f"video task {task!r} is unknown; known: {', '.join(VIDEO_TASKS)}")


def render_frames(scenes: Scenes, times, size: int, g: torch.Generator) -> torch.Tensor:
    """The clips' pictures at `times` (seconds): (batch, len(times), 3, size, size), float in 0..1.

    Within each second the shape drifts over a grey background. Without a shape there is only background. Edges are antialiased.
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
    r = uniform(0.26, 0.38)
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
    cover = torch.sigmoid(distance * size * 2.0) * (kind != NOTHING)[..., None, None]  # (batch, frames, size, size)
    paint = RGB.to(device)[scenes.colour[:, second].clamp(min=0)][..., None, None]  # (batch, frames, 3, 1, 1)
    ground = uniform(0.35, 0.60)[:, :, None]
    cover = cover[:, :, None]
    grain = uniform(0.0, 0.05)[:, :, None]  # a codec smooths grain, so the model must know every amount of it
    noise = grain * torch.randn(batch, len(times), 3, size, size, generator=g, device=device)
    return (cover * paint + (1 - cover) * ground + noise).clamp(0, 1)


def render_audio(scenes: Scenes, rate: int, g: torch.Generator) -> torch.Tensor:
    """The clips' sound tracks: (batch, seconds * rate), float in -1..1. Silence is faint noise, never exact zeros.

    A tone is a sine. A buzz adds its odd harmonics up to the ninth, below 8 kHz. A hiss is white noise. A chirp is a sine that
    rises by two octaves. Pitch varies over two octaves, amplitude by a factor of three. The noise density per hertz is the same
    at every rate. So a track rendered at 48 kHz and resampled to 16 kHz is as noisy as one rendered at 16 kHz.
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
    wave = wave * envelope * uniform(0.15, 0.45) * (kind != NOTHING)[..., None]
    wave = wave.flatten(1) + 0.003 * density * torch.randn(batch, seconds * rate, generator=g, device=device)
    return wave.clamp(-1, 1)
