"""Ask a model the questions of one shard: option logits, answer, correctness and margin, one row a question.

    python workflow_scripts/evaluate.py --model tiny-omni --family qwen_omni --checkpoint resources/tiny-omni \\
        --questions results/miniature/questions/mini-video.jsonl --shard 0 --shards 2 \\
        --features results/miniature/features/tiny-omni/mini-video/0.safetensors \\
        --out results/miniature/evaluate/tiny-omni/mini-video/0.parquet

The answer is the option letter with the largest logit at the last position; it is correct if that token is also the most
probable of the whole vocabulary and the right letter, as greedy decoding of one token would find it.
"""

from avflow import cli, readout, tables, traced
from avflow.decoder import causal_mask, masked_run


def ask(model, sequence, name: str) -> list[dict]:
    """The row of one question."""
    mask = causal_mask(len(sequence), sequence.embeds.device)[None]
    logits = masked_run(model, sequence, lambda _: mask).cpu()  # (1, V)
    columns = readout.compare(sequence, logits, logits)
    row = {name: values[0] for name, values in columns.items()}
    row.update(
        tables.about(sequence.question, name),
        n_tokens=len(sequence),
        gold=sequence.question.answer,
        correct=row["correct_clean"],
        margin=readout.margin(sequence, logits)[0],
    )
    return [row]


def main():
    arguments = traced.parser(__doc__).parse_args()
    traced.run(__file__, arguments, tables.EVALUATE, lambda q: q, lambda m, s: ask(m, s, arguments.model), {})


if __name__ == "__main__":
    cli.run(main)
