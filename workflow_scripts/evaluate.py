"""Ask a model the questions of one shard: option logits, answer, correctness and margin, one row a question.

    python workflow_scripts/evaluate.py --model tiny-omni --family qwen_omni --checkpoint resources/tiny-omni \\
        --questions results/miniature/questions/mini-video.jsonl --shard 0 --shards 2 \\
        --features results/miniature/features/tiny-omni/mini-video/0.safetensors \\
        --out results/miniature/evaluate/tiny-omni/mini-video/0.parquet

The answer is the option letter with the largest logit at the last position; it is correct if that token is also the most
probable of the whole vocabulary and the right letter, as greedy decoding of one token would find it. Where the most probable
token is no letter, `says_letter` is false, `base_token` is what it is instead, and the log says how often that happened and what
was said; the probability of the letters, of other ways to write them and of everything else is in p_letters, p_variants, p_other.
"""

import sys
from collections import Counter

from avflow import cli
from avflow.tracing import row_schemas, shard_job, uncut_logits


def ask(model, question, features, arguments) -> list[dict]:
    """The row of one question."""
    sequence = model.sequence(question, features, arguments.spans.get(question.setting))
    return [row_schemas.answer_row(sequence, uncut_logits(model, [sequence]).cpu(), arguments.model)]


def count_letters(loaded, questions, partial) -> dict:
    """How many questions were answered with something that is no letter, and with what: for the table's metadata and the log."""
    tokens = [row["base_token"] for q in questions for row in partial.rows_of(q.question_id) if not row["says_letter"]]
    if not tokens:
        return {"answers_without_letter": 0}
    tokenizer = loaded(questions[0])[0].tokenizer
    most = dict(Counter(tokenizer.decode([token]) for token in tokens).most_common(5))
    said = ", ".join(f"{text!r} {count} times" for text, count in most.items())
    line = f"{len(tokens)} of {len(questions)} answers are no option letter (says_letter is false) but {said}"
    print(line, file=sys.stderr, flush=True)
    return {"answers_without_letter": len(tokens), "said_instead": most}


def main():
    arguments = shard_job.parser(__doc__).parse_args()
    work = lambda model, question, features, _: ask(model, question, features, arguments)
    shard_job.run(__file__, arguments, row_schemas.EVALUATE, lambda q: q, work, {}, count_letters)


if __name__ == "__main__":
    cli.run(main)
