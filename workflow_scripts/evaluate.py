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

A free question is answered in words: with its own answer, teacher-forced, or else with the model's greedy reply of at most
`--reply-tokens` tokens. `content` is that text and reply_ids are its tokens, which knockouts score, too. An answer is correct if
greedy decoding gives its tokens. A question without an answer has no right reply, so `correct` is empty.
"""

import sys
from collections import Counter

from avflow import cli
from avflow.errors import Unusable
from avflow.questions import read_questions
from avflow.tracing import answered, row_schemas, shard_job, uncut_answers


def sequence_of(model, question, features, arguments) -> tuple:
    """The question's sequence, and for a free one whether its reply is whole, else None."""
    sequence = model.sequence(question, features, arguments.spans.get(question.setting))
    return answered(model, sequence, arguments.reply_tokens) if question.free else (sequence, None)


def ask(model, some, arguments) -> list:
    """The row of each of some questions about the same files, as a list, or Unusable. some: [(question, features)]."""
    laid_out = lambda model, question, features, _: sequence_of(model, question, features, arguments)
    made = shard_job.one_by_one(laid_out)(model, some, None)
    usable = [one for one in made if not isinstance(one, Unusable)]
    logits = iter(uncut_answers(model, [sequence for sequence, _ in usable]))

    def row(sequence, whole):
        text = model.tokenizer.decode(sequence.reply_ids) if len(sequence.reply_ids) else None
        return row_schemas.answer_row(sequence, next(logits)[None].cpu(), arguments.model, text, whole)

    return [one if isinstance(one, Unusable) else [row(*one)] for one in made]


def count_letters(loaded, questions, partial) -> dict:
    """Count the answers that are not an option letter, and name the commonest five, for the table's metadata and the log."""
    rows = [row for q in questions for row in partial.rows_of(q.question_id)]
    tokens = [row["base_token"] for row in rows if row["says_letter"] is False]
    if not tokens:
        return {"answers_without_letter": 0}
    tokenizer = loaded(questions[0])[0].tokenizer
    most = dict(Counter(tokenizer.decode([token]) for token in tokens).most_common(5))
    said = ", ".join(f"{text!r} {count} times" for text, count in most.items())
    line = f"{len(tokens)} of {len(questions)} answers are not an option letter (says_letter is false): {said}"
    print(line, file=sys.stderr, flush=True)
    return {"answers_without_letter": len(tokens), "said_instead": most}


def count_replies(questions, partial) -> dict:
    """Count the replies that reached the limit of tokens, and name their questions, for the table's metadata and the log."""
    free = [q.question_id for q in questions if q.free]
    cut_short = [name for name in free if partial.rows_of(name)[0]["reply_ended"] is False]
    if cut_short:
        many = f"{len(cut_short)} of {len(free)} replies reached the limit (max_reply_tokens) and are scored up to there"
        print(f"{many}: {', '.join(cut_short)}", file=sys.stderr, flush=True)
    return {"replies_at_limit": cut_short} if free else {}


def main():
    parser = shard_job.parser(__doc__)
    parser.add_argument("--reply-tokens", type=int, default=32, help="most tokens of the model's own reply to a free question")
    arguments = parser.parse_args()
    work = lambda model, some, _: ask(model, some, arguments)
    asked = read_questions(arguments.questions, arguments.shard, arguments.shards)
    plan = {"reply_tokens": arguments.reply_tokens} if any(q.free and q.answer is None for q in asked) else {}
    count = lambda loaded, questions, partial: count_letters(loaded, questions, partial) | count_replies(questions, partial)
    together = shard_job.same_media
    shard_job.run(__file__, arguments, row_schemas.EVALUATE, lambda q: q, work, plan, count, together=together, free=True)


if __name__ == "__main__":
    cli.run(main)
