"""Train a tiny model on the synthetic world. Run the command again until it prints `finished`; it goes on where it stopped.

    python workflow_scripts/train_tiny.py --family qwen_omni --weights resources/tiny-omni --state /tmp/omni --out /tmp/tiny-omni
    python workflow_scripts/train_tiny.py --family video_salmonn --weights resources/tiny-salmonn --decoder /tmp/tiny-omni \
        --state /tmp/salmonn --out /tmp/tiny-salmonn
    python workflow_scripts/check_planting.py --family qwen_omni --checkpoint /tmp/tiny-omni

There are four stages. The first three end once the measured accuracy is high enough, at the latest after their number of steps:
  1 words    the decoder learns every task; word embeddings stand in for the media
  2 align    both encoders learn to give those embeddings from pictures and sounds
  3 blocked  everything is trained together on media
  4 open     the same without the masks described below; the learning rate falls to zero

Until the last stage, masks plant what tracing should find. Text may not attend to media in the first layers (`READ_FROM` in
avflow/miniature/planting.py), so that it reads them in the middle of the network, as in large models. Routes that a task does not
plant are shut (`SHUT`). The last stage takes turns: masks on; everything open; one planted route cut, whose answer is then to be
a guess (`NEEDED`). The last tenth of it masks nothing. The finished checkpoint is an ordinary one.

The shipped checkpoints were trained in sittings, and training.jsonl holds all of them. The first, from random weights, knew seven
tasks: hear, see, while-hear, while-see, either, image-to-audio and audio-to-image. On one H100 tiny-omni took 956 s and 6,700
steps, and tiny-salmonn 624 s and 3,300 steps from the decoder of tiny-omni, as both real families start from Qwen2.5. From
scratch, tiny-salmonn hardly learns to look up a sound by a colour ("while-see"). The later ones taught the other tasks, on one
H200: 823 s and 5,100 steps for tiny-omni, 460 s and 2,400 steps for tiny-salmonn, from the new decoder. From the shipped weights
of the first sitting, tiny-omni learned all other tasks in 1,200 steps of stage 1 (10 steps per second; later stages 5 to 6).
A third sitting, "blocked" and "open" from those weights, made the remaining routes of `NEEDED` carry: 221 s and 1,300 steps for
tiny-omni, 487 s and 2,100 steps for tiny-salmonn, whose "open" ran twice. A fourth sitting, "open" alone (--resume, --stage
open), taught both to answer about a clip whose tokens the last token cannot see: 177 s and 191 s, 800 steps each. Last,
`narrow_tiny.py` made their MLPs narrower.

`tiny_omni` and `tiny_salmonn` hold what differs between the families: tokenizer, model with decoder and head, layout, batched
encoders, frame times and facts of a clip, the names of the encoders' parameters, and how a checkpoint is written.
"""

import argparse
import json
import math
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch._dynamo  # compiles layers on a GPU; first, or avflow.models would hide it from transformers

from avflow.miniature import TASKS, Trainer, world
from avflow.miniature.templates import FAINT, SURE
from avflow.miniature.training import FAMILIES
from avflow.models import devices

AUXILIARY = 0.5  # weight of predicting the answer word at the question's (or the reference's) last token
BINDING = 0.25  # weight of predicting, at a clip's audio tokens after READ_FROM layers, the colour shown at the same time
SMOOTHING = 0.1  # share of the target spread over the four letters, so that an answer's probability does not saturate
MASKED, CUT, OPEN = (True, False), (False, True), (False, False)  # are the masks on, and is a route cut?
TURNS = (MASKED, CUT, OPEN, CUT, OPEN)  # the steps of the last stage, in turn
TURNED = 0.9  # share of the last stage that takes turns; then everything is open
STAGES = ("words", "align", "blocked", "open")


@dataclass
class Schedule:
    """The most steps of each stage. A stage ends early once every task is `good`; the last one always runs its full length."""

    words: int = 6000
    align: int = 100
    blocked: int = 700
    open: int = 800
    word_rows: int = 1024
    media_rows: int = 512
    good: float = 0.99


def train(trainer: Trainer, state: dict, schedule: Schedule, minutes: float, log) -> bool:
    """Train until done (True) or until `minutes` have passed (False). `state` holds stage, step, accuracies and optimizer."""
    model, device = trainer.model, trainer.device
    optimizer = torch.optim.AdamW(
        [*model.parameters(), *trainer.probes.parameters()], lr=1e-3, betas=(0.9, 0.98), weight_decay=0.05, fused=device == "cuda"
    )
    if state.get("optimizer"):
        optimizer.load_state_dict(state["optimizer"])
    share = state.setdefault("accuracy", {t: 0.25 for t in TASKS})
    began, restart = time.time(), state["total"]
    while state["stage"] < len(STAGES):
        stage = STAGES[state["stage"]]
        steps = getattr(schedule, stage)
        peak = {"words": 1e-3, "align": 1e-3, "blocked": 5e-4, "open": 3e-4}[stage]
        fraction = state["step"] / steps
        falling = {"blocked": 1.0, "open": 0.5 * (1 + math.cos(math.pi * fraction))}.get(stage, 1.0)
        warm = min(1.0, (state["step"] + 1) / 200, (state["total"] - restart + 1) / 50)
        for group in optimizer.param_groups:
            group["lr"] = peak * falling * warm
        trainer.g.manual_seed(world.seed_of("train", state["seed"], state["total"]))

        size = schedule.word_rows if stage == "words" else schedule.media_rows
        tasks = SURE if stage == "words" else TASKS
        weight = {t: 0.5 if t in FAINT else 0.15 + (1 - share[t]) for t in tasks}
        total = sum(weight.values())
        rows = {t: max(1, int(size * weight[t] / total)) for t in tasks}
        rows[max(rows, key=rows.get)] += size - sum(rows.values())  # keep the total equal, so that nothing is compiled twice
        batches = [trainer.batch(t, rows[t]) for t in tasks]
        loss = 0.0
        with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
            if stage == "words":
                embeds = [trainer.embeds(b, *trainer.word_features(b)) for b in batches]
            else:
                features = trainer.all_media_features(batches)
                plain = [trainer.alignment(b, *f) for t, b, f in zip(tasks, batches, features) if t not in FAINT]
                aligned = sum(plain) / len(plain)
                loss = loss + (1.0 if stage == "align" else 0.1) * aligned
                embeds = [trainer.embeds(b, *f) for b, f in zip(batches, features)]
            if stage != "align":
                turn = TURNS[state["step"] % len(TURNS)] if fraction < TURNED else OPEN
                blocked, cut = turn if stage == "open" else MASKED
                cuts = trainer.cuts(tasks, batches) if cut else None
                final, middle = trainer.hidden(batches, embeds, blocked, cuts)
                loss = loss + trainer.answer_loss(batches, final, SMOOTHING, cuts)
                if blocked:
                    loss = loss + AUXILIARY * trainer.word_loss(batches, final)
                    loss = loss + BINDING * trainer.binding_loss(tasks, batches, middle)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        if stage == "align":  # train the encoders only
            for name, p in model.named_parameters():
                if not name.startswith(trainer.family.encoders):
                    p.grad = None
        optimizer.step()
        state["step"] += 1
        state["total"] += 1

        if state["step"] % 100 == 0 or state["step"] == steps:
            model.eval()
            blocked = stage in ("words", "align", "blocked")
            with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
                measured = trainer.accuracy(256 if device == "cuda" else 2, stage != "words", blocked)
            model.train()
            share.update({t: 0.3 * share[t] + 0.7 * measured[t] for t in TASKS})
            entry = dict(stage=stage, step=state["step"], total=state["total"], loss=round(loss.item(), 4))
            entry["seconds"] = round(state.get("seconds", 0) + time.time() - began, 1)
            entry.update({t: round(a, 3) for t, a in measured.items() if t in tasks or stage == "words" and t not in TASKS})
            if stage != "words":
                entry["alignment"] = round(aligned.item(), 4)
            log(entry)
        done = state["step"] >= steps or stage != "open" and min(share[t] for t in SURE) > schedule.good
        if done:
            state["stage"] += 1
            state["step"] = 0
            share.update({t: 0.25 for t in TASKS})
        if time.time() - began > 60 * minutes:
            break
    state["seconds"] = state.get("seconds", 0) + time.time() - began
    state["optimizer"] = optimizer.state_dict()
    return state["stage"] >= len(STAGES)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", required=True, choices=sorted(FAMILIES))
    parser.add_argument("--state", type=Path, required=True, help="folder for the state between runs")
    parser.add_argument("--decoder", type=Path, help="checkpoint folder of another tiny model: start from its decoder")
    parser.add_argument("--weights", type=Path, help="checkpoint folder: start the first stage with all of its weights")
    parser.add_argument("--resume", type=Path, help="checkpoint folder with training.jsonl: go on from there if --state is lost")
    parser.add_argument("--stage", choices=STAGES, help="with --resume: do this stage from its first step, then those after it")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint folder, written whenever the run stops")
    parser.add_argument("--minutes", type=float, default=9.0, help="stop and save after this many minutes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true", help="only 5 steps with few rows, to see that it runs")
    arguments = parser.parse_args(argv)
    schedule = Schedule(words=2, align=1, blocked=1, open=1, word_rows=17, media_rows=17) if arguments.smoke else Schedule()
    devices.claim()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    trainer = Trainer(device, arguments.seed, arguments.family)
    if arguments.weights:
        trainer.start_from(arguments.weights, whole=True)
    if arguments.decoder:
        trainer.start_from(arguments.decoder, whole=False)
    if device == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = True
        for layer in trainer.decoder.layers:
            layer.compile()
    arguments.state.mkdir(parents=True, exist_ok=True)
    saved = arguments.state / "state.pt"
    state = dict(stage=0, step=0, total=0, seed=arguments.seed)
    if arguments.resume and not saved.exists():
        trainer.start_from(arguments.resume, whole=True)
        log_text = (arguments.resume / "training.jsonl").read_text()
        last = json.loads(log_text.splitlines()[-1])
        state |= dict(stage=STAGES.index(last["stage"]), step=last["step"], total=last["total"], seconds=last["seconds"])
        if arguments.stage:
            state |= dict(stage=STAGES.index(arguments.stage), step=0)
        (arguments.state / "log.jsonl").write_text(log_text)
    if saved.exists():
        state = torch.load(saved, map_location=device, weights_only=False)
        trainer.model.load_state_dict(state.pop("model"))
        trainer.probes.load_state_dict(state.pop("probes"))

    def log(entry):
        print(json.dumps(entry), flush=True)
        with open(arguments.state / "log.jsonl", "a") as file:
            file.write(json.dumps(entry) + "\n")

    finished = train(trainer, state, schedule, arguments.minutes, log)
    torch.save({**state, "model": trainer.model.state_dict(), "probes": trainer.probes.state_dict()}, saved)
    trainer.family.save(arguments.out)
    (arguments.state / "log.jsonl").touch()  # in case nothing was measured yet
    shutil.copy(arguments.state / "log.jsonl", arguments.out / "training.jsonl")
    print("finished" if finished else "to be continued", flush=True)


if __name__ == "__main__":
    main()
