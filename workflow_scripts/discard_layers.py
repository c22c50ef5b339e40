"""Choose the layers after which a model's tokens are discarded: from config.yaml, or by a rule from its own knockouts.

    python workflow_scripts/discard_layers.py --model tiny-omni --window 3 --given null \\
        --kinds '{"av_video": {"Audio": {"tokens": "audio", "routes": ["audio->question"]}}}' \\
        --datasets '{"av_video": "mini-video"}' --knockouts results/miniature/knockout/tiny-omni/mini-video/figure_4/0.parquet \\
        --swept results/miniature/discard_sweep/tiny-omni/mini-video/0.parquet --threshold 1 --kl 0.003 --kl-questions 20 \\
        --out results/miniature/discard_layers/tiny-omni.json

Writes {setting: {kind: {"tokens": span, "layer": L, "why": ..}}}. VTW stands beside the kinds. avflow/results/discard_rule.py
states the rule.
"""

import argparse
import json
from pathlib import Path

import pandas as pd

from avflow import cli
from avflow.errors import InputError
from avflow.results import discard_rule, effects
from avflow.storage import whole


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--window", type=int, required=True, help="layers in a knockout's window")
    parser.add_argument("--given", type=json.loads, required=True, help="setting -> kind -> layer, JSON; null: use the rule")
    parser.add_argument("--kinds", type=json.loads, required=True, help="setting -> kind -> {tokens, routes}, JSON")
    parser.add_argument("--datasets", type=json.loads, required=True, help="setting -> dataset whose knockouts are read, JSON")
    parser.add_argument("--knockouts", type=Path, nargs="*", default=[], help="knockout rows of this model")
    parser.add_argument("--swept", type=Path, nargs="+", required=True, help="discard_sweep rows of this model")
    parser.add_argument(
        "--threshold", type=float, required=True, help="a route is needed where its cut lowers the answer by more %%"
    )
    parser.add_argument("--kl", type=float, required=True, help="VTW: the first layer with a mean KL below this, in nats")
    parser.add_argument("--kl-questions", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    swept = pd.concat([pd.read_parquet(path) for path in arguments.swept])
    layers = int(swept["layer"].max()) + 1
    found = {}
    for setting, dataset in arguments.datasets.items():
        given = (arguments.given or {}).get(setting)
        cut = [effects.relative_change(path, {arguments.model: arguments.window}, dataset) for path in arguments.knockouts]
        cut = pd.concat(cut or [effects.relative_change("", {}, "")]).drop_duplicates(["question_id", "route", "centre"])
        found[setting] = {}
        for kind, about in arguments.kinds[setting].items():
            if given is None:
                layer = discard_rule.last_needed(cut, about["routes"], layers, arguments.threshold)
            elif kind not in given:
                raise InputError(
                    f"config.yaml: models/{arguments.model}/discard_layers/{setting} names no layer for {kind}; add one"
                )
            elif given[kind] >= layers:
                raise InputError(
                    f"config.yaml: models/{arguments.model}/discard_layers/{setting} discards {kind} after layer {given[kind]};"
                    f" choose a layer from 0 to {layers - 1}"
                )
            else:
                layer = {"layer": given[kind], "why": "config.yaml"}
            found[setting][kind] = {"tokens": about["tokens"], **layer}
        here = swept[swept["dataset"] == dataset]
        withdrawn = discard_rule.withdrawal(here, arguments.kl_questions, arguments.kl)
        found[setting]["VTW"] = {"tokens": "vision", **withdrawn}
    with whole(arguments.out) as part:
        part.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    cli.run(main)
