"""A seeded synthetic audio-visual world. For every question it is known whether sound, sight or both decide the answer.

A clip lasts four seconds. In every second it shows one coloured shape and holds one sound or silence. A task asks about the clip.
By construction the answer is decided by the sound (A), by the picture (V), or by both together (AV):

    hear         which sound is heard                                   A    one second sounds, the shape never changes
    see          which shape is shown                                   V    the same clips as hear
    while-hear   which colour is shown while the sound is heard         AV   the same clips again
    while-see    which sound is heard while the <colour> one is shown   AV   four sounds and four colours, shuffled
    either       which shape it is, by sight or by sound                A or V: a dial sets the share of clips with sound only
    hear-before  which sound is heard two seconds before the <sound>    A    four sounds, shapes and colours, shuffled
    see-before   which shape is shown two seconds before the <colour>   V    the same clips as hear-before
    describe     which sound is heard, and which shape is shown         AV   the clips of hear; answered in free words

Items have one reference and four candidates. Shape k makes sound k, and colour k goes with sound k:

    image-to-audio  which of four sounds matches the picture's shape
    audio-to-image  which of four pictures matches the sound
    by-aspect       which of four sounds matches the picture's shape, or its colour, as the question says
    stated          which option says rightly what a sound is, and names the one that matches the picture
    named           which of four sounds is the one that the question names; the picture means nothing
    repeated        which of four sounds repeats an earlier one; the picture means nothing

A name such as "hear-faint-60" means the same task on faint media: the dial, 0 to 100, lowers the sound under its noise and makes
shapes small and pale. torch draws everything in batches, so the miniature's files and the training's batches come from the same
code. All continuous parameters (place, size, speed, grey level, pitch, loudness, noise) are drawn independently for every scene.
"""

import hashlib
from dataclasses import dataclass, replace

import torch

from ..errors import InputError

SHAPES = ("circle", "square", "triangle", "cross")
COLOURS = ("red", "green", "blue", "yellow")
SOUNDS = ("tone", "buzz", "hiss", "chirp")
ORDINALS = ("first", "second", "third", "fourth")
LETTERS = ("A", "B", "C", "D")
SECONDS = 4
NOTHING = -1  # a second without a sound, or without a shape


@dataclass(frozen=True)
class Task:
    """One kind of question: its wording, its answer words, and the modality that decides it (A, V or AV).

    {cue} in the wording stands for one of `cues`, the words by which the question points at a part of the media. Wordings about
    items also hold {candidates} and {reference}, where the media's tags stand. ordered: the options name the candidates in order.
    """

    question: str
    answers: tuple
    needs: str
    clips: str  # the family of clips that it asks about, or "items"
    cues: tuple = ()
    ordered: bool = False

    def asked(self, cue: int | None = None, candidates: str = "", reference: str = "") -> str:
        """The question's text. cue: an index into `cues`, or None. candidates, reference: their tags, or nothing."""
        tags = {name: tag and " " + tag for name, tag in (("candidates", candidates), ("reference", reference))}
        return self.question.format(cue="" if cue is None else self.cues[cue], **tags)


VIDEO_TASKS = {
    "hear": Task("Which sound is heard in the clip?", SOUNDS, "A", "single"),
    "see": Task("Which shape is shown in the clip?", SHAPES, "V", "single"),
    "while-hear": Task("Which colour is shown while the sound is heard?", COLOURS, "AV", "single"),
    "while-see": Task("Which sound is heard while the {cue} shape is shown?", SOUNDS, "AV", "medley", COLOURS),
    "either": Task("Which shape is it, by sight or by sound?", SHAPES, "AV", "either"),
    "hear-before": Task("Which sound is heard two seconds before the {cue}?", SOUNDS, "A", "parade", SOUNDS),
    "see-before": Task("Which shape is shown two seconds before the {cue} one?", SHAPES, "V", "parade", COLOURS),
}
ITEM_TASKS = {
    "image-to-audio": Task(
        "Out of the four sounds{candidates}, which one matches the picture{reference}?", ORDINALS, "AV", "items"
    ),
    "audio-to-image": Task(
        "Out of the four pictures{candidates}, which one matches the sound{reference}?", ORDINALS, "AV", "items"
    ),
    "by-aspect": Task(
        "Out of the four sounds{candidates}, which one matches the {cue} of the picture{reference}?",
        ORDINALS,
        "AV",
        "items",
        ("shape", "colour"),
    ),
    "stated": Task(
        "Out of the four sounds{candidates}, which choice is true and goes with the picture{reference}?", ORDINALS, "AV", "items"
    ),
    "named": Task(
        "Out of the four sounds{candidates}, which one is the {cue}, whatever the picture{reference} shows?",
        ORDINALS,
        "A",
        "items",
        SOUNDS,
    ),
    "repeated": Task(
        "Out of the four sounds{candidates}, which one repeats an earlier one, whatever the picture{reference} shows?",
        ORDINALS,
        "A",
        "items",
        ordered=True,
    ),
}
FREE = "describe"  # the name of FREE_TASK
FREE_TASK = Task("Which sound is heard, and which shape is shown?", (), "AV", "single")
FREE_INSTRUCTION = "Answer in a few words."
VIDEO_INSTRUCTION = (
    "Select the best answer to the following multiple-choice question based on the video."
    " Respond with only the letter (A, B, C, or D) of the correct option."
)
VIDEO_ENDING = "The best answer is:"
ITEMS_INSTRUCTION = "Answer with the option's letter from the given choices directly."
SYSTEM_PROMPT = "You are a helpful assistant."


def video_task(name: str) -> tuple[str, float, float]:
    """What a name means: the task, its share of clips with sound only, and how faint its media are (0 to 1).

    "either-25": sound only in 25 % of the clips; without a number in half of them. "hear-faint-60": hear, 0.6 faint. Raises
    InputError if the name is unknown.
    """
    task, share, faint = name, "50", "0"
    if name.startswith("either-"):
        task, _, share = name.partition("-")
    elif "-faint-" in name:
        task, _, faint = name.partition("-faint-")
    known_task = name == FREE or task in VIDEO_TASKS and not (task == "either" and faint != "0")
    if not known_task or not all(x.isdigit() and int(x) <= 100 for x in (share, faint)):
        known = f"{', '.join(VIDEO_TASKS)}, either-0 to either-100, {FREE}, and any other with -faint-0 to -faint-100"
        raise InputError(f"video task {name!r} is unknown; known: {known}")
    return task, int(share) / 100, int(faint) / 100


def spec_of(name: str) -> Task:
    """The task about clips of a name, without dials: one of VIDEO_TASKS, or FREE_TASK."""
    return FREE_TASK if name == FREE else VIDEO_TASKS[name]


def items_task(name: str) -> tuple[str, float]:
    """The items task that a name means, and how faint its media are (0 to 1). Raises InputError if the name is unknown."""
    task, _, faint = name.partition("-faint-")
    if task not in ITEM_TASKS or ("-faint-" in name and not (faint.isdigit() and int(faint) <= 100)):
        raise InputError(f"item task {name!r} is unknown; known: {', '.join(ITEM_TASKS)}, each also with -faint-0 to -faint-100")
    return task, int(faint or 0) / 100


def reply(sound: int, shape: int) -> str:
    """The free answer to `FREE_TASK`, for example "tone and circle"."""
    return f"{SOUNDS[sound]} and {SHAPES[shape]}"


def seed_of(*parts) -> int:
    """A 63-bit seed from a readable path such as ``("mini-video", 7, "single", 12)``. Different paths give different seeds."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:8], "big") >> 1


def generator(*parts, device="cpu") -> torch.Generator:
    """A generator seeded by `seed_of`. The paths of files begin with a dataset's name, those of training with "train"."""
    return torch.Generator(device).manual_seed(seed_of(*parts))


@dataclass
class Scenes:
    """A batch of clips, second by second. Fields are indices into SHAPES, COLOURS and SOUNDS, or NOTHING; (batch, seconds).

    faint (batch,): from 0, plain, to 1, lost in noise; None: all plain.
    """

    shape: torch.Tensor
    colour: torch.Tensor
    sound: torch.Tensor
    faint: torch.Tensor | None = None

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
    parade   four shuffled shapes, colours and sounds
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
    elif family == "parade":
        shape, sound = _shuffled(g, batch), _shuffled(g, batch)
    elif family == "either":
        by_ear = torch.rand(batch, 1, generator=g, device=g.device) < audio_share
        sound = torch.where(by_ear, shape, NOTHING)
        shape = torch.where(by_ear, NOTHING, shape)
        colour = torch.where(by_ear, NOTHING, colour)
    elif family == "items":
        shape = _choice(g, batch, 1)
        colour, sound = _choice(g, batch, 1), shape.clone()
    else:
        raise ValueError(f"clip family {family!r} is unknown; known: single, medley, parade, either, items")
    return Scenes(shape, colour, sound)


def answers(task: str, scenes: Scenes, g: torch.Generator, cue=None):
    """The right answer (batch,), an index into the task's answer words, and the cue in the question (batch,), or None.

    cue (batch,): the cue to ask about, an index into the task's `cues`; None draws it. Raises InputError for an unknown task.
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
    if task in ("hear-before", "see-before"):
        cues, asked = (scenes.sound, scenes.sound) if task == "hear-before" else (scenes.colour, scenes.shape)
        late = torch.randint(2, SECONDS, (scenes.batch,), generator=g, device=g.device)
        second = late if cue is None else (cues == cue[:, None]).int().argmax(1)
        return asked[rows, (second - 2).clamp(min=0)], cues[rows, second]
    if task == "either":
        return torch.maximum(scenes.shape[:, 0], scenes.sound[:, 0]), None
    raise InputError(f"video task {task!r} is unknown; known: {', '.join(VIDEO_TASKS)}")


def events(task: str, scene: Scenes, cue: int | None) -> list[dict]:
    """When the answer to a task about one clip is heard and shown, as events of a `Question`; none where every second tells it.

    Shapes lie in the middle of the picture, so no event has a box. cue: as `answers` returns it.
    """
    sound, colour = scene.sound[0], scene.colour[0]
    if task in ("hear", "while-hear"):
        told, senses = sound != NOTHING, ["audio"] if task == "hear" else ["audio", "video"]
    elif task == "while-see":
        told, senses = colour == cue, ["audio", "video"]
    elif task in ("hear-before", "see-before"):
        told, senses = (sound, ["audio"]) if task == "hear-before" else (colour, ["video"])
        told = (told == cue).roll(-2)  # two seconds before the cue
    else:
        return []
    second = int(told.int().argmax())
    return [{"sense": sense, "start": float(second), "stop": second + 1.0} for sense in senses]


@dataclass
class Items:
    """A batch of questions about items.

    pictures, sounds: the scenes, (batch, 4) for the candidates and (batch, 1) for the reference. Where colour means nothing it is
    NOTHING, and `coloured` draws it. answer (batch,): the right candidate. cue (batch,): an index into the task's cues, or None.
    claims (batch, 4): for every candidate the sound that its option says it is, or None.
    """

    pictures: Scenes
    sounds: Scenes
    answer: torch.Tensor
    cue: torch.Tensor | None = None
    claims: torch.Tensor | None = None


def draw_items(task: str, batch: int, g: torch.Generator) -> Items:
    """Draw questions of a task about items. Raises InputError for an unknown task."""
    kinds, answer = _shuffled(g, batch), _choice(g, batch)
    matching = kinds.gather(1, answer[:, None])
    reference, colour, cue, claims = matching, torch.full_like(matching, NOTHING), None, None
    if task == "by-aspect":
        cue = torch.randint(0, 2, (batch,), generator=g, device=g.device)
        other = (matching + torch.randint(1, 4, (batch, 1), generator=g, device=g.device)) % 4
        by_shape = cue[:, None] == 0
        reference, colour = torch.where(by_shape, matching, other), torch.where(by_shape, other, matching)
    elif task == "stated":
        claims = _claims(kinds, answer, g)
    elif task in ("named", "repeated"):
        reference = _choice(g, batch, 1)
        cue = matching[:, 0] if task == "named" else None
    elif task not in ("image-to-audio", "audio-to-image"):
        raise InputError(f"item task {task!r} is unknown; known: {', '.join(ITEM_TASKS)}")
    if task == "repeated":  # one of the first three sounds again, in place of a later one
        answer = torch.randint(1, 4, (batch,), generator=g, device=g.device)
        first = (torch.rand(batch, generator=g, device=g.device) * answer).long()
        kinds = kinds.scatter(1, answer[:, None], kinds.gather(1, first[:, None]))
    if task == "audio-to-image":
        return Items(Scenes(kinds, torch.full_like(kinds, NOTHING), kinds), Scenes(reference, colour, reference), answer)
    return Items(Scenes(reference, colour, reference), Scenes(kinds, kinds, kinds), answer, cue, claims)


def coloured(scenes: Scenes, g: torch.Generator) -> Scenes:
    """The same scenes with a drawn colour wherever there is none."""
    drawn = _choice(g, *scenes.colour.shape)
    return replace(scenes, colour=torch.where(scenes.colour == NOTHING, drawn, scenes.colour))


def _claims(kinds, answer, g) -> torch.Tensor:
    """What options say about each candidate, (batch, 4). Two are true and two name the matching sound; only one does both."""
    others = torch.arange(3, device=g.device).expand(len(answer), 3)
    others = (others + (others >= answer[:, None])).gather(1, torch.rand(others.shape, generator=g, device=g.device).argsort(1))
    falsely, truly, wrong = others.unbind(1)  # says the matching sound; is true of another; is neither
    claims = kinds.clone()
    claims.scatter_(1, falsely[:, None], kinds.gather(1, answer[:, None]))
    either = torch.rand(len(answer), generator=g, device=g.device) < 0.5
    return claims.scatter_(1, wrong[:, None], kinds.gather(1, torch.where(either, falsely, truly)[:, None]))
