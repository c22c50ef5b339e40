"""Is everything planted? Cut every route of a tiny model in questions that are drawn on the spot, and compare with the plan.

    python workflow_scripts/check_planting.py --family qwen_omni --checkpoint resources/tiny-omni --questions 64

For every task it prints the accuracy and, for every route, the strongest mean change of the answer's probability (in %) over all
windows of three layers, with its standard error and centre. Routes that `avflow/miniature/planting.py` lists for the task are
marked with a star. Exits with 1 if one of them costs less than 10 %, or if a route has no task in which it costs less than 2 %
(but question -> last, by which every answer about a clip passes).

The cuts are plain masks in plain forward passes, without the pipeline's sweep, its files or its layouts. So the check runs on any
machine on which `train_tiny.py` runs: half a minute on a GPU, about 20 minutes on two cores with 16 questions.
"""

import argparse
import sys
from pathlib import Path

import torch
import torch._dynamo  # noqa: F401  first, or avflow.models would hide it from transformers

from avflow.miniature import TASKS, Trainer, planting, world
from avflow.miniature.templates import base, kind_of, pairs, with_options
from avflow.miniature.training import FAMILIES

CLIP = ["cross_frame", "cross_audio_segment", "audio<->video", "video->question", "audio->question", "question->last"]
ROUTES = {
    "clips": [*CLIP, "video->last", "audio->last"],
    "free": [*CLIP, "video->reply", "audio->reply", "question->reply"],
    "items": [
        "cross_candidate",
        "candidates->reference",
        "question->reference",
        "candidates->question",
        "reference->last",
        "candidates->last",
        "question->last",
        "correct_candidate->correct_option",
        "reference->correct_option",
        "question->correct_option",
        "correct_option->last",
        "incorrect_options->last",
    ],
}
WIDTH, LEAST, NOTHING = 3, 10.0, 2.0


def spans_of(batch, row: int) -> dict:
    """The spans of one question, with those that depend on its right answer."""
    spans = with_options(batch.template.spans, world.LETTERS[int(batch.letter[row])])
    if "candidates" in spans:
        right = int((batch.template.answer_ids == batch.word[row]).int().argmax()) + 1
        spans = spans | {"correct_candidate": spans[f"candidate_{right}"]}
    return spans


@torch.no_grad()
def log_probability(trainer, batch, embeds, cut=None, window=()):
    """Log probability of the right answers (rows,), and whether they are given. cut (rows, S, S): shut in the window's layers."""
    length = embeds.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=embeds.device).tril().expand(len(embeds), 1, -1, -1)
    positions = batch.template.positions[:, None].expand(-1, len(embeds), -1)
    rotary = trainer.decoder.rotary_emb(embeds, positions)
    x = embeds
    for number, layer in enumerate(trainer.decoder.layers):
        mask = causal & ~cut[:, None] if number in window else causal
        x = layer(x, attention_mask=mask, position_embeddings=rotary)
    at = batch.template.answer_at
    logits = trainer.head(trainer.decoder.norm(x[:, at : at + batch.target.shape[1]])).float().log_softmax(-1)
    right = (logits.argmax(-1) == batch.target).all(1)
    return logits.gather(2, batch.target[..., None])[..., 0].sum(1), right


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", required=True, choices=sorted(FAMILIES))
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=64, help="per task")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    arguments = parser.parse_args()
    trainer = Trainer("cuda" if torch.cuda.is_available() else "cpu", 0, arguments.family)
    trainer.start_from(arguments.checkpoint, whole=True)
    trainer.model.eval()
    layers, faults, least = len(trainer.decoder.layers), [], {}
    for task in arguments.tasks:
        trainer.g.manual_seed(world.seed_of("planting", task))
        batch = trainer.batch(task, arguments.questions)
        with torch.no_grad():
            embeds = trainer.embeds(batch, *trainer.media_features(batch))
        clean, right = log_probability(trainer, batch, embeds)
        print(f"{task}: {right.float().mean():.0%} right", flush=True)
        spans = [spans_of(batch, row) for row in range(arguments.questions)]
        for route in ROUTES[kind_of(task)]:
            cut = torch.stack([pairs([route], one, embeds.shape[1]) for one in spans])
            means, errors = [], []
            for centre in range(layers):
                window = range(centre - WIDTH // 2, centre + WIDTH // 2 + 1)
                changed, _ = log_probability(trainer, batch, embeds, cut, window)
                change = 100 * ((changed - clean).exp() - 1)[right]
                means.append(change.mean().item())
                errors.append(change.std().item() / max(1, len(change)) ** 0.5)
            centre = max(range(layers), key=lambda c: abs(means[c]))
            planted = route in planting.CARRIES.get(base(task), ())
            print(f"  {'*' if planted else ' '} {route:36} {means[centre]:6.1f} +- {errors[centre]:.1f} at {centre}", flush=True)
            if kind_of(task) != "free":
                least[route] = min(least.get(route, 100.0), abs(means[centre]))
            if planted and means[centre] > -LEAST:
                faults.append(f"{task}: {route} costs only {-means[centre]:.1f} %")
    if len(arguments.tasks) == len(TASKS):
        faults += [f"{route} costs at least {x:.1f} % in every task" for route, x in least.items() if x > NOTHING]
    print("\n".join(faults) or "everything is planted")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
