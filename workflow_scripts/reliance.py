"""Ask the questions of one shard again without a sense, with another clip's sound, or with their options shuffled.

    python workflow_scripts/reliance.py --model tiny-omni --family qwen_omni --checkpoint resources/tiny-omni \\
        --questions results/miniature/questions/mini-video.jsonl --shard 0 --shards 1 --shuffles 1 \\
        --features results/miniature/features/tiny-omni/mini-video/0.safetensors \\
        --out results/miniature/reliance/tiny-omni/mini-video/0.parquet

The rows show what an answer rests on. They have the columns of `evaluate` and a `variant`:

    muted         every sound is digital silence of the same length
    blanked       every picture is even grey of the same size
    text_only     both
    swapped       the sounds of another question of the same task and direction in this shard
    shuffled_1..  the options in another seeded order

`swapped` takes the sounds nearest in length; the seed decides between equals. A question has no such row if the shard holds no
other clip for it. `content`, the text of the answered option, can be compared across orders.
"""

import random
from dataclasses import replace

import pyarrow as pa
import torch

from avflow import cli
from avflow.questions import Question, first_of_tasks, read_questions
from avflow.questions.names import file_of
from avflow.storage import FeatureStore
from avflow.tracing import row_schemas, shard_job, uncut_logits

GREY = 128
KEPT = 32  # most encoded silences and blanks to keep; real clips come in many lengths and shapes
SCHEMA = row_schemas.EVALUATE.append(pa.field("variant", pa.string()))


def without(model, features: dict, kind: str, sense: str, cache: dict) -> dict:
    """A medium's features with its sound muted (sense "audio") or its pictures blanked ("vision"); the rest is unchanged."""
    if sense not in features:
        return features
    shape = tuple(features["grid"].tolist()) if sense == "vision" else (int(features["samples"]),)
    if (kind, sense, shape) not in cache:
        if len(cache) >= KEPT:
            cache.clear()
        if sense == "audio":
            cache[kind, sense, shape] = model.encode("audio", audio=torch.zeros(*shape))["audio"].cpu()
        else:
            frames = model.temporal * shape[0] if kind == "video" else 1
            blank = torch.full((frames, 3, shape[1] * model.patch, shape[2] * model.patch), GREY, dtype=torch.uint8)
            cache[kind, sense, shape] = model.encode(kind, frames=blank, fps=1.0)["vision"].cpu()
    return {**features, sense: cache[kind, sense, shape]}


def shuffled(question: Question, seed: int, number: int) -> Question:
    """The question with its options' contents in another order under the same letters, never in the original order."""
    rng = random.Random(f"{seed}/{question.question_id}/{number}")
    contents = [(o.text, o.candidate) for o in question.options]
    order = list(range(len(contents)))
    while order == sorted(order):
        rng.shuffle(order)
    options = tuple(replace(o, text=contents[j][0], candidate=contents[j][1]) for o, j in zip(question.options, order))
    labels = [o.label for o in question.options]
    answer = labels[order.index(labels.index(question.answer))]
    return replace(question, options=options, answer=answer)


class Swaps:
    """Replaces a question's sounds by those of another question of the shard."""

    def __init__(self, questions: list[Question], features):
        """features: the shard's file of encoder outputs."""
        self.questions, self.features, self.store, self.lengths = questions, features, None, {}

    def _sounds(self, question: Question) -> list[str]:
        """The ids of the question's media with sound, in the order of their roles."""
        found = [m for m in question.media if self.store.has(m.media_id, "audio")]
        return [m.media_id for m in sorted(found, key=lambda m: (m.role, m.index))]

    def _length(self, question: Question) -> int:
        if question.question_id not in self.lengths:
            self.lengths[question.question_id] = sum(int(self.store.get(m, "samples")) for m in self._sounds(question))
        return self.lengths[question.question_id]

    def of(self, question: Question, features: dict, seed: int) -> dict | None:
        """The question's features with another question's sounds; None if no other one of its task and direction fits."""
        self.store = self.store or FeatureStore(self.features)
        mine = self._sounds(question)
        alike = [q for q in self.questions if (q.task, q.group) == (question.task, question.group)]
        files = {file_of(m) for m in mine}
        others = [q for q in alike if len(self._sounds(q)) == len(mine) and not files & set(map(file_of, self._sounds(q)))]
        if not mine or not others:
            return None
        rng = random.Random(f"{seed}/{question.question_id}/swapped")
        rng.shuffle(others)
        other = min(others, key=lambda q: abs(self._length(q) - self._length(question)))
        replaced = dict(features)
        for own, theirs in zip(mine, self._sounds(other)):
            sound = {name: self.store.get(theirs, name) for name in ("audio", "samples")}
            replaced[own] = {**features[own], **sound}
        return replaced


def variants(model, question: Question, features: dict, shuffles: int, seed: int, cache: dict, swaps: Swaps | None = None):
    """(name, question, features) of every variant."""
    kinds = {m.media_id: m.kind for m in question.media}
    take = lambda given, sense: {i: without(model, f, kinds[i], sense, cache) for i, f in given.items()}  # noqa: E731
    muted = take(features, "audio")
    yield "muted", question, muted
    yield "blanked", question, take(features, "vision")
    yield "text_only", question, take(muted, "vision")
    swapped = swaps.of(question, features, seed) if swaps else None
    if swapped:
        yield "swapped", question, swapped
    for number in range(1, shuffles + 1):
        yield f"shuffled_{number}", shuffled(question, seed, number), features


def ask_all(model, question, features, arguments, cache, swaps) -> list[dict]:
    """The rows of one question."""
    asked = list(variants(model, question, features, arguments.shuffles, arguments.seed, cache, swaps))
    sequences = [model.sequence(q, given, arguments.spans.get(q.setting)) for _, q, given in asked]
    rows = []
    for (name, _, _), sequence, logits in zip(asked, sequences, uncut_logits(model, sequences).cpu()):
        row = row_schemas.answer_row(sequence, logits[None], arguments.model)
        rows.append({**row, "variant": name})
    return rows


def main():
    parser = shard_job.parser(__doc__)
    parser.add_argument("--shuffles", type=int, default=1, help="orders of the options, besides the original one")
    parser.add_argument("--first", type=int, help="use only the first n questions of every task")
    arguments = parser.parse_args()
    cache, swaps = {}, Swaps(read_questions(arguments.questions, arguments.shard, arguments.shards), arguments.features)
    work = lambda model, question, features, _: ask_all(model, question, features, arguments, cache, swaps)
    chosen = first_of_tasks(read_questions(arguments.questions), arguments.first)
    choose = lambda questions: [q for q in questions if q.question_id in chosen]
    plan, asked = {"shuffles": arguments.shuffles}, {"first": arguments.first}
    shard_job.run(__file__, arguments, SCHEMA, choose, work, plan, asked=asked)


if __name__ == "__main__":
    cli.run(main)
