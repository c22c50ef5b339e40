"""Ask the questions of one shard again with sounds muted, pictures blanked, and options shuffled: what does an answer rest on?

    python workflow_scripts/reliance.py --model tiny-omni --family qwen_omni --checkpoint resources/tiny-omni \\
        --questions results/miniature/questions/mini-video.jsonl --shard 0 --shards 2 --shuffles 1 \\
        --features results/miniature/features/tiny-omni/mini-video/0.safetensors \\
        --out results/miniature/reliance/tiny-omni/mini-video/0.parquet

Rows are those of `evaluate` with a `variant`: muted, every sound replaced by digital silence of the same length; blanked, every
picture replaced by even grey of the same size; shuffled_1.., the options in another seeded order. `content`, the text of the
answered option, can be compared across orders.
"""

import random
from dataclasses import replace

import pyarrow as pa
import torch

from avflow import cli, tables, traced
from avflow.decoder import uncut_logits
from avflow.questions import Question

GREY = 128
SCHEMA = tables.EVALUATE.append(pa.field("variant", pa.string()))


def without(model, features: dict, kind: str, sense: str, cache: dict) -> dict:
    """A medium's features with its sound muted (sense "audio") or its pictures blanked ("vision"); others unchanged."""
    if sense not in features:
        return features
    shape = tuple(features["grid"].tolist()) if sense == "vision" else (int(features["samples"]),)
    if (kind, sense, shape) not in cache:
        if sense == "audio":
            cache[kind, sense, shape] = model.encode("audio", audio=torch.zeros(*shape))["audio"].cpu()
        else:
            frames = model.temporal * shape[0] if kind == "video" else 1
            blank = torch.full((frames, 3, shape[1] * model.patch, shape[2] * model.patch), GREY, dtype=torch.uint8)
            cache[kind, sense, shape] = model.encode(kind, frames=blank, fps=1.0)["vision"].cpu()
    return {**features, sense: cache[kind, sense, shape]}


def shuffled(question: Question, seed: int, number: int) -> Question:
    """The question with its options' contents in another order under the same letters; never the order that it came in."""
    rng = random.Random(f"{seed}/{question.question_id}/{number}")
    contents = [(o.text, o.candidate) for o in question.options]
    order = list(range(len(contents)))
    while order == sorted(order):
        rng.shuffle(order)
    options = tuple(replace(o, text=contents[j][0], candidate=contents[j][1]) for o, j in zip(question.options, order))
    labels = [o.label for o in question.options]
    answer = labels[order.index(labels.index(question.answer))]
    return replace(question, options=options, answer=answer)


def variants(model, question: Question, features: dict, shuffles: int, seed: int, cache: dict):
    """(name, question, features) of every variant."""
    kinds = {m.media_id: m.kind for m in question.media}
    for name, sense in (("muted", "audio"), ("blanked", "vision")):
        yield name, question, {i: without(model, f, kinds[i], sense, cache) for i, f in features.items()}
    for number in range(1, shuffles + 1):
        yield f"shuffled_{number}", shuffled(question, seed, number), features


def ask_all(model, question, features, arguments, cache) -> list[dict]:
    """The rows of one question."""
    asked = list(variants(model, question, features, arguments.shuffles, arguments.seed, cache))
    sequences = [model.sequence(q, given, arguments.spans.get(q.setting)) for _, q, given in asked]
    rows = []
    for (name, _, _), sequence, logits in zip(asked, sequences, uncut_logits(model, sequences).cpu()):
        row = tables.answer_row(sequence, logits[None], arguments.model)
        rows.append({**row, "variant": name})
    return rows


def main():
    parser = traced.parser(__doc__)
    parser.add_argument("--shuffles", type=int, default=1, help="orders of the options besides their own")
    arguments = parser.parse_args()
    cache = {}
    work = lambda model, question, features, _: ask_all(model, question, features, arguments, cache)
    traced.run(__file__, arguments, SCHEMA, lambda q: q, work, {"shuffles": arguments.shuffles})


if __name__ == "__main__":
    cli.run(main)
