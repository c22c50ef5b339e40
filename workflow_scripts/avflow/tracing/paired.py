"""A question and its partner, as sequences with the same tokens in the same places.

`resample.py` patches one of their runs with the keys of the other. `conflict.py` asks about the pictures of one with the sound of
the other.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from ..errors import Unusable
from ..media.fitting import fit
from ..models import Sequence
from ..questions import Question, first_of_tasks, pairs, read_questions
from ..questions.decoded_media import DecodedMedia
from . import shard_job


def parser(description: str):
    """The options of a script that asks about pairs. Its caller adds `--routes`."""
    made = shard_job.parser(description, reads="frames", decoder=DecodedMedia.of_options)
    made.add_argument("--width", type=int, required=True, help="layers per window (the paper's k)")
    made.add_argument("--stride", type=int, default=1, help="layers between neighbouring centres")
    made.add_argument("--tasks", nargs="+", default=["*"], help="patterns of the tasks to ask (default: all)")
    made.add_argument("--first", type=int, help="use only the first n questions of every task")
    made.add_argument("--engine", choices=["sweep", "naive"], default="sweep", help="sweep: incremental; naive: full forwards")
    return made


def run(script: str, arguments, schema, rows, among: bool = False) -> None:
    """Ask every question of a shard that has a partner, as `shard_job.run` does.

    rows(model, question, partner, (media, the partner's), arguments, partial) -> list of row dicts; media as from `arrays`.
    among: only partners count whose right answer is among the question's options.
    """
    every = read_questions(arguments.questions)
    inside = [q for q in every if q.study_split == "knockout" and any(fnmatchcase(q.task, task) for task in arguments.tasks)]
    chosen = first_of_tasks(inside, arguments.first)
    pool = [q for q in every if q.shard(arguments.shards) == arguments.shard]
    found = [(q, pairs.partner(q, pool, arguments.seed)) for q in pool]
    partners = {q.question_id: p for q, p in found if p and (not among or pairs.label_in(q, p))}
    store = shard_job.store_of(arguments)

    def work(model, question, media, partial):
        partner = partners[question.question_id]
        return rows(model, question, partner, (arrays(media), arrays(store.of(partner))), arguments, partial)

    plan = {"engine": arguments.engine, "width": arguments.width, "stride": arguments.stride}
    plan |= {"routes": list(map(str, arguments.routes)), "partners": {i: q.question_id for i, q in partners.items()}}
    choose = lambda questions: [q for q in questions if q.question_id in chosen and q.question_id in partners]
    shard_job.run(script, arguments, schema, choose, work, plan, asked={"first": arguments.first, "tasks": arguments.tasks})


def arrays(media: dict) -> dict[str, dict]:
    """media_id -> frames, fps and audio, whichever a medium has. media: the same as tensors, as they are stored."""
    take = lambda name, value: float(value) if name == "fps" else value
    return {i: {n: take(n, m[n]) for n in ("frames", "fps", "audio") if n in m} for i, m in media.items()}


@dataclass(frozen=True)
class Pair:
    """own: the question's sequence about its own media. other: about its partner's media, on the same grid and length."""

    own: Sequence
    other: Sequence
    features: tuple[dict, dict]  # media_id -> encoder outputs, of both

    def conflict(self, model, unions) -> Sequence:
        """The question about its own pictures with its partner's sounds. Raises Unusable if a medium lacks either."""
        mixed = {}
        for own, other in zip(self.own.question.media, self.other.question.media):
            a, b = self.features[0][own.media_id], self.features[1][other.media_id]
            if "audio" not in a or "vision" not in a:
                missing = "sound" if "audio" not in a else "pictures"
                raise Unusable("no_conflict", f"question {self.own.question.question_id}: {own.media_id} has no {missing}")
            mixed[own.media_id] = {**a, "audio": b["audio"], "samples": b["samples"]}
        return model.sequence(self.own.question, mixed, unions)


def pair(model, question: Question, other: Question, media: dict, theirs: dict, unions) -> Pair:
    """Encode a question's media and its partner's, and lay both out. media, theirs: from `arrays`.

    Raises Unusable, with both names, if a medium cannot take the place of another.
    """
    asked, kinds = pairs.with_media_of(question, other), {m.id: m.kind for m in question.media}
    own = {m.media_id: model.encode(kinds[m.id], **media[m.media_id]) for m in question.media}
    places = zip(question.media, asked.media)
    try:
        fitted = {b.media_id: model.encode(kinds[a.id], **fit(theirs[b.media_id], media[a.media_id])) for a, b in places}
    except Unusable as error:
        who = f"question {question.question_id} with its partner {other.question_id}"
        raise Unusable(error.reason, f"{who}: {error}") from None
    return Pair(model.sequence(question, own, unions), model.sequence(asked, fitted, unions), (own, fitted))
