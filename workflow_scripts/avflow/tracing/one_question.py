"""One question, without a workflow: what a model answers, and what it loses when routes are cut.

    model = load("tiny-omni")
    question = question_about("clip.mp4", "Which sound is heard?", ["hiss", "tone", "buzz", "chirp"])
    answer, probabilities = ask(model, question)
    rows = trace(model, question)

The rows are those of the rule `knockout`, computed by the same sweep. One question has no interval: it says what happened here.
"""

from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch

from ..errors import InputError
from ..media import MediaError, Sampling
from ..media.decoding import decode
from ..models import Sequence, gpu_memory
from ..questions import Question, shard_lists
from ..questions.from_files import with_own_answer
from . import knockout, readout, row_schemas
from .batch_plan import CPU_ROWS, widest
from .generation import answered
from .interventions import Knockout, Route
from .interventions import windows as windows_of
from .packs import uncut_answers

REPLY_TOKENS = 32  # of the model's own reply to a free question
SHORTER = (
    "ask about a shorter part (ffmpeg -ss 10 -t 20 -i CLIP -c copy PART), or use a sampling of config.yaml with fewer frames or"
    " pixels"
)


class Answer(NamedTuple):
    """What a model answers.

    answer: the label of the option with the most probable letter; of a free question, the text. probabilities: label ->
    probability of its letter among all tokens; of a free question, [(token, its probability)].
    """

    answer: str
    probabilities: dict | list


def encode(model, question: Question) -> dict[str, dict]:
    """media_id -> the encoder outputs of every medium of a question, whose paths start at the working directory.

    Frames and sound are sampled by `model.choices`. Raises InputError for a file that cannot be read, or that is too long for the
    memory.
    """
    how, found = Sampling.of(_choices(model).sampling), {}
    for medium in shard_lists.listed([question]):
        try:
            arrays, _ = decode(medium.path, medium.kind, how, medium.text, medium.media)
        except MediaError as error:
            raise InputError(str(error)) from None
        arrays = {name: torch.as_tensor(array) for name, array in arrays.items()}
        if "fps" in arrays:
            arrays["fps"] = float(arrays["fps"])
        frames = arrays.get("frames", torch.empty(0, dtype=torch.uint8)).numel()
        _check_room(model, 2 * 4 * frames, medium.path)  # its pixels as floats, before and after patches are cut
        with gpu_memory.holding(medium.path, SHORTER):
            found[medium.media_id] = model.encode(medium.kind, **arrays)
    return found


def ask(model, question: Question, features: dict | None = None) -> Answer:
    """A model's `Answer`. features: from `encode`, if they are known already. Raises InputError as `encode` and `Unusable` do."""
    sequence, (logits,) = _asked(model, question, encode(model, question) if features is None else features)
    if question.free:
        each = logits.softmax(-1).gather(1, sequence.reply_ids.to(logits.device)[:, None])[:, 0].tolist()
        tokens = [model.tokenizer.decode([token]) for token in sequence.reply_ids.tolist()]
        return Answer(model.tokenizer.decode(sequence.reply_ids), list(zip(tokens, each)))
    letters = logits.softmax(-1)[sequence.letter_ids.to(logits.device)].tolist()
    (answer,) = readout.answers(sequence, logits[None])
    return Answer(answer, dict(zip((o.label for o in question.options), letters)))


def trace(
    model,
    question: Question,
    routes=None,
    windows=None,
    cut: str = "mask",
    controls: int = 0,
    features: dict | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Cut routes in windows of layers: one row per cut, in the columns of the table `knockout` (docs/reference.md).

    The first row is the null row, in which nothing is cut. `attrs["answer"]` of the rows is the answer whose probability they
    hold: the most probable token with nothing cut, which need not be an option's letter, or the reply.

    routes: texts or `Route`s; by default those of Figure 4 or 5, or of app_free, as far as the question has their spans. windows:
    `Window`s, by default one around each layer. cut: "mask" or "value_zero". controls: draws of size-matched random controls for
    each cut. features: from `encode`. seed: of controls.

    If nobody named the right option, the model's own answer counts as right, and `correct_option` is what it chose. Raises
    InputError for a route that is misspelt or names an unknown span, and if the question does not fit into the memory.
    """
    features = encode(model, question) if features is None else features
    if not question.free:
        question = with_own_answer(question, ask(model, question, features).answer)
    sequence = _laid_out(model, question, features)
    layers = len(model.decoder.layers)
    windows = windows_of(layers, _choices(model).width) if windows is None else windows
    routes = usual_routes(model, sequence) if routes is None else [_route(route) for route in routes]
    drawn = [("none", 0), *(("random_other", draw) for draw in range(controls))]
    cuts = list(dict.fromkeys(Knockout(r, w, cut, *one) for r in routes for one in drawn for w in windows))
    with gpu_memory.holding(f"question {question.question_id}", SHORTER):
        table = knockout.rows(model, sequence, cuts, knockout.plan(model), seed)
    shared = row_schemas.about(question, Path(model.folder).name)
    found = pd.DataFrame([{**shared, **row} for row in table], columns=row_schemas.KNOCKOUT.names)
    found.attrs["answer"] = model.tokenizer.decode(sequence.reply_ids if question.free else table[0]["base_token"])
    return found


def usual_routes(model, sequence: Sequence) -> list[Route]:
    """The routes of the figure that shows such questions, without those that name a span that this question lacks."""
    question = sequence.question
    kind = f"free_{question.setting}" if question.free else question.setting

    def named(route):
        try:
            route.edges(sequence.spans)
        except InputError:
            return False
        return True

    return list(filter(named, map(Route.parse, _choices(model).routes[kind])))


def _route(route) -> Route:
    return route if isinstance(route, Route) else Route.parse(route)


def _choices(model):
    if model.choices is None:
        raise InputError(f"{model.folder}: how to sample media for this model is unknown; load it with avflow.load")
    return model.choices


def _laid_out(model, question: Question, features: dict) -> Sequence:
    """The question's sequence, with its reply if it is free."""
    sequence = model.sequence(question, features, _choices(model).spans.get(question.setting))
    config = model.decoder.config
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    kept = 2 * len(sequence) * config.num_hidden_layers * config.num_key_value_heads * head  # keys and values of the clean run
    stack = min(CPU_ROWS, len(sequence)) * (4 * config.hidden_size + 3 * widest(config))
    _check_room(model, (kept + stack) * model.dtype.itemsize, f"question {question.question_id} of {len(sequence)} tokens")
    return answered(model, sequence, REPLY_TOKENS)[0] if question.free else sequence


def _asked(model, question: Question, features: dict) -> tuple[Sequence, list[torch.Tensor]]:
    sequence = _laid_out(model, question, features)
    with gpu_memory.holding(f"question {question.question_id}", SHORTER):
        return sequence, uncut_answers(model, [sequence])


def _check_room(model, needed: int, what: str) -> None:
    """Raise InputError if a model on the CPU needs more memory than is free. On a GPU, `gpu_memory` says so when it happens."""
    free = free_bytes()
    if model.device.type == "cpu" and free is not None and needed > free:
        raise InputError(
            f"{what}: it needs at least {needed / 2**30:.1f} GiB of memory, and {free / 2**30:.1f} are free; {SHORTER}"
        )


def free_bytes() -> int | None:
    """Memory that a process can still take, as Linux estimates it; of a container, as its limit says. None if unknown."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found += [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
        most, used = (Path(f"/sys/fs/cgroup/memory.{name}").read_text().strip() for name in ("max", "current"))
        found += [int(most) - int(used)] if most.isdigit() else []
    except OSError:
        pass
    return min(found, default=None)
