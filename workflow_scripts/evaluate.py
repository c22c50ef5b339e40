"""Ask a model the questions of one shard: option logits, answer, correctness and margin, one row a question.

    python workflow_scripts/evaluate.py --model tiny-omni --family qwen_omni --checkpoint resources/tiny-omni \\
        --questions results/miniature/questions/mini-video.jsonl --shard 0 --shards 2 \\
        --features results/miniature/features/tiny-omni/mini-video/0.safetensors \\
        --out results/miniature/evaluate/tiny-omni/mini-video/0.parquet

The answer is the option letter with the largest logit at the last position; it is correct if that token is also the most
probable of the whole vocabulary and the right letter, as greedy decoding of one token would find it.
"""

from avflow import cli, tables, traced
from avflow.decoder import uncut_logits


def ask(model, question, features, arguments) -> list[dict]:
    """The row of one question."""
    sequence = model.sequence(question, features, arguments.spans.get(question.setting))
    return [tables.answer_row(sequence, uncut_logits(model, [sequence]).cpu(), arguments.model)]


def main():
    arguments = traced.parser(__doc__).parse_args()
    work = lambda model, question, features, _: ask(model, question, features, arguments)
    traced.run(__file__, arguments, tables.EVALUATE, lambda q: q, work, {})


if __name__ == "__main__":
    cli.run(main)
