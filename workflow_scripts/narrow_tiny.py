"""Make the MLPs of a tiny model narrower. Run the command again until it prints `finished`; it goes on where it stopped.

    python workflow_scripts/narrow_tiny.py --family qwen_omni --checkpoint /tmp/tiny-omni --units 96 \
        --state /tmp/narrow-omni --out /tmp/narrow/tiny-omni

The strongest units of every MLP are kept. Then the decoder learns to follow the one that it was made from, as
avflow/miniature/distilling.py describes. Encoders and embeddings stay as they are. `narrowing.jsonl`, beside the weights, is
the log.

The shipped checkpoints were trained with MLPs of 512 units (`train_tiny.py`), and then narrowed to 96, on one H200: tiny-omni in
3,100 steps and 970 s, tiny-salmonn in 2,600 steps and 970 s.
"""

import argparse
import json
import math
import shutil
import time
from pathlib import Path

import torch
import torch._dynamo  # noqa: F401  first, or avflow.models would hide it from transformers

from avflow.miniature import Trainer, distilling, world
from avflow.miniature.training import FAMILIES
from avflow.models import devices

PEAK = 1e-3  # the learning rate, after WARM steps; it falls to zero with a cosine
WARM = 100
SHOWN = 100  # steps between lines of the log


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", required=True, choices=sorted(FAMILIES))
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder of the model to follow")
    parser.add_argument("--units", type=int, required=True, help="of every MLP")
    parser.add_argument("--state", type=Path, required=True, help="folder for the state between runs")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint folder, written whenever the run stops")
    parser.add_argument("--steps", type=int, default=3000, help="in all runs together")
    parser.add_argument("--minutes", type=float, default=9.0, help="stop and save after this many minutes")
    parser.add_argument("--rows", type=int, default=512, help="questions per step; a sixteenth per task chooses the units")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    devices.claim()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    trainer = Trainer(device, arguments.seed, arguments.family)
    trainer.start_from(arguments.checkpoint, whole=True)
    trainer.model.eval()
    trainer.g.manual_seed(world.seed_of("narrow", arguments.seed))
    distiller = distilling.Distiller(trainer, distilling.narrow(trainer, arguments.units, max(1, arguments.rows // 16)))
    weights = [p for name, p in trainer.decoder.named_parameters() if not name.startswith("embed_tokens")]
    optimizer = torch.optim.AdamW(weights, lr=PEAK, betas=(0.9, 0.98), weight_decay=0.0, fused=device == "cuda")
    arguments.state.mkdir(parents=True, exist_ok=True)
    saved, log = arguments.state / "state.pt", arguments.state / "log.jsonl"
    state = {"step": 0, "seconds": 0.0}
    if saved.exists():
        state = torch.load(saved, map_location=device, weights_only=False)
        trainer.decoder.load_state_dict(state.pop("decoder"))
        optimizer.load_state_dict(state.pop("optimizer"))
    log.touch()
    began, before, sums = time.time(), state["seconds"], []
    while state["step"] < arguments.steps and time.time() - began < 60 * arguments.minutes:
        for group in optimizer.param_groups:
            falling = 0.5 * (1 + math.cos(math.pi * state["step"] / arguments.steps))
            group["lr"] = PEAK * min(1.0, (state["step"] + 1) / WARM) * falling
        trainer.g.manual_seed(world.seed_of("narrow", arguments.seed, state["step"]))
        found = distiller.compared(arguments.rows)
        optimizer.zero_grad(set_to_none=True)
        (found["states"] + found["answer"]).backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        sums.append({name: value.detach() for name, value in found.items()})
        state |= {"step": state["step"] + 1, "seconds": before + time.time() - began}
        if state["step"] % SHOWN == 0 or state["step"] == arguments.steps:
            entry = {"step": state["step"], "seconds": round(state["seconds"], 1)}
            entry |= {name: float(f"{torch.stack([one[name] for one in sums]).mean():.4g}") for name in found}
            print(json.dumps(entry), flush=True)
            with open(log, "a") as file:
                file.write(json.dumps(entry) + "\n")
            sums = []
    torch.save({**state, "decoder": trainer.decoder.state_dict(), "optimizer": optimizer.state_dict()}, saved)
    trainer.family.save(arguments.out)
    shutil.copy(log, arguments.out / "narrowing.jsonl")
    shutil.copy(arguments.checkpoint / "training.jsonl", arguments.out)
    print("finished" if state["step"] >= arguments.steps else "to be continued", flush=True)


if __name__ == "__main__":
    main()
