"""Ask a model the questions of one shard: one row per question with option logits, answer, correctness and margin.

    python workflow_scripts/evaluate.py --model tiny-omni --family qwen_omni --checkpoint resources/tiny-omni \\
        --questions results/miniature/questions/mini-video.jsonl --shard 0 --shards 1 \\
        --features results/miniature/features/tiny-omni/mini-video/0.safetensors \\
        --out results/miniature/evaluate/tiny-omni/mini-video/0.parquet

`answer` is the option letter with the largest logit at the last position. It is correct if it is the right letter and also the
most probable token of the whole vocabulary. Greedy decoding of one token would give the same result.

If the most probable token is not a letter, `says_letter` is false and `base_token` holds that token. The log counts these cases
and names the commonest tokens. p_letters, p_variants and p_other hold the probability of the letters, of other ways to write
them, and of everything else.
"""

import sys
from collections import Counter

from avflow import cli
from avflow.errors import Unusable
from avflow.tracing import row_schemas, shard_job, uncut_logits


def ask(model, some, arguments) -> list:
    """The row of each of some questions about the same files, as a list, or Unusable. some: [(question, features)]."""
    sequence_of = lambda model, question, features, _: model.sequence(question, features, arguments.spans.get(question.setting))
    made = shard_job.one_by_one(sequence_of)(model, some, None)
    usable = [sequence for sequence in made if not isinstance(sequence, Unusable)]
    logits = iter(uncut_logits(model, usable).cpu() if usable else [])
    return [
        one if isinstance(one, Unusable) else [row_schemas.answer_row(one, next(logits)[None], arguments.model)] for one in made
    ]


def count_letters(loaded, questions, partial) -> dict:
    """Count the answers that are not an option letter, and name the commonest five, for the table's metadata and the log."""
    tokens = [row["base_token"] for q in questions for row in partial.rows_of(q.question_id) if not row["says_letter"]]
    if not tokens:
        return {"answers_without_letter": 0}
    tokenizer = loaded(questions[0])[0].tokenizer
    most = dict(Counter(tokenizer.decode([token]) for token in tokens).most_common(5))
    said = ", ".join(f"{text!r} {count} times" for text, count in most.items())
    line = f"{len(tokens)} of {len(questions)} answers are not an option letter (says_letter is false): {said}"
    print(line, file=sys.stderr, flush=True)
    return {"answers_without_letter": len(tokens), "said_instead": most}


def main():
    arguments = shard_job.parser(__doc__).parse_args()
    work = lambda model, some, _: ask(model, some, arguments)
    shard_job.run(__file__, arguments, row_schemas.EVALUATE, lambda q: q, work, {}, count_letters, together=shard_job.same_media)


if __name__ == "__main__":
    cli.run(main)
