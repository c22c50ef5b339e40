"""Fit what `estimate` cannot count to the stages of full_size.json, and hold its predictions against them.

    python benchmarks/stages.py --out benchmarks/stages.json      no GPU, a second
    python benchmarks/stages.py --table                           the table of docs/performance.md

Rates are fitted to the models of the paper's study. Other models, such as Qwen3-Omni, are predicted without being fitted to.

Run it again whenever knockout.json or full_size.json is measured anew. Sizes and cuts are those of config.yaml, with which
full_size.py was run. `write` is no stage of the study, and `load` is taken as measured.
"""

import argparse
import csv
import json
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow_scripts"))
from avflow.tracing import costs, rates  # noqa: E402

NEAR = 0.25  # a prediction is near if it differs by at most this share of what was measured
KINDS = {"av_video": ["question_text", "audio", "video"], "items": ["question_text", "reference", "candidates"]}
SWEEP, PRUNED = (1, 4), 7  # random draws and stride of full_size.py's discard_sweep; its settings of pruning, without random ones
REPEATS = 20


def read(name: str):
    return json.loads((ROOT / "benchmarks" / f"{name}.json").read_text())


def shapes() -> dict[str, costs.Shape]:
    with open(ROOT / "resources/published/models.csv", newline="", encoding="utf-8") as file:
        return costs.shapes_of(csv.DictReader(file))


def spans_of(config: dict, model: str, setting: str):
    """The spans of full_size.py's question: a clip of 15 s in 720p, or four pictures of 1024 x 768 and 10 s of sound."""
    told = config["models"][model]
    made = lambda *of: costs.medium(told["family"], config["sampling"][told["sampling"]], *of)
    media = [made("video", 15, 1280, 720), None, None]
    if setting == "items":
        media = [None, made("image", 0, 1024, 768), made("audio", 10, 0, 0)]
    return costs.skeleton(setting, *media, config["spans"][setting])


def budget_of(config: dict, analysis: str) -> dict:
    """What full_size.py cuts for an analysis: as config.yaml says, with controls in its one question.

    A study's own dataset may have routes of its own.
    """
    cuts = config["knockout"]["cuts"][analysis]
    own = cuts["datasets"].get("video", cuts["datasets"].get("items", {}))
    budget = {key: value for key, value in (cuts | own).items() if key not in ("datasets", "questions")}
    if "controls" in budget:
        budget["controls"] = {key: draws for key, draws in budget["controls"].items() if key != "questions"}
    return budget


def terms(config: dict, known: rates.Rates, case: dict, shape: costs.Shape) -> list[dict]:
    """One entry per measured stage: its kind, its seconds, those known without a fit, and the terms to be fitted.

    "cold" is 1 in the first setting of a process's first model: there, encoders and decoder load their kernels.
    """
    found, cold = [], int(case.get("position", 0) == 0)
    for setting in case["tokens"]:
        spans, tokens = spans_of(config, case["model"], setting), case["tokens"][setting]["all"]
        alone, many = known.forward(shape, tokens), rates.pairs(shape, tokens)
        encoders = known.encoders(case["model"], setting)
        of = {
            "features": ("features", encoders, {"job": 1, "cold": cold}),
            "evaluate": ("evaluate", 0, {"job": 1, "forwards": alone, "cold": cold}),
            "attention": ("attention", 0, {"job": 1, "forwards": alone, "pairs": many}),
        }
        ideal, count = costs.discards(spans, shape.layers, KINDS[setting], *SWEEP)
        of["discard_sweep"] = ("discard_sweep", 0, {"job": 1, "forwards": ideal * alone, "each": count})
        runs = REPEATS + rates.WARM_UPS
        timed = runs * (PRUNED * alone + encoders)
        of["pruning"] = ("pruning", timed, {"job": 1, "token_layer": runs * PRUNED * shape.layers})
        for analysis in config["knockout"]["cuts"]:
            if f"{setting}/{analysis}" in case["stages"]:
                ideal, count = costs.sweep(spans, shape.layers, [budget_of(config, analysis)], 7)
                cut, zero = known.knockouts(shape, tokens, ideal, count), many if analysis == "value_zero" else 0
                needed = {"job": 1, "pairs": many, "value_zero_pairs": zero, "swept_pairs": ideal * many}
                of[analysis] = ("knockout", cut, needed)
        for stage, (kind, given, what) in of.items():
            timed = case["stages"].get(f"{setting}/{stage}")
            if timed and "failed" not in timed:
                about = dict(model=case["model"], stage=f"{setting}/{stage}", kind=kind)
                found.append({**about, "measured": timed["seconds"], "given": given, "terms": what})
        cold = 0
    return found


def fitted(config: dict, sweeps: list, stages: list) -> dict:
    """The rates of every kind of stage, and each stage's measured and predicted seconds."""
    known = rates.Rates(sweeps, stages, shapes())
    every = [entry for case in stages for entry in terms(config, known, case, shapes()[case["model"]])]
    seen = config["studies"]["paper"]["models"]
    found = {"fitted": {}, "stages": []}
    for kind in dict.fromkeys(entry["kind"] for entry in every):
        of = [entry for entry in every if entry["kind"] == kind]
        table, given = np.array([list(e["terms"].values()) for e in of], float), np.array([e["given"] for e in of])
        fits = [e["model"] in seen for e in of]
        measured = np.array([e["measured"] for e in of])
        coefficients = rates.fit(table[fits], measured[fits], given[fits])
        found["fitted"][kind] = {name: round(float(c), 6) for name, c in zip(of[0]["terms"], coefficients)}
        for entry, predicted in zip(of, table @ coefficients + given):
            found["stages"].append(
                {**{key: entry[key] for key in ("model", "stage", "measured")}, "predicted": round(float(predicted), 2)}
            )
    return found


def off(entry: dict) -> float:
    """By what share of the measured seconds a prediction is off."""
    return entry["predicted"] / entry["measured"] - 1


def table(stages: list[dict]) -> str:
    """Predicted / measured seconds as Markdown, one row per stage and one column per model. Bold: not near."""
    models = list(dict.fromkeys(entry["model"] for entry in stages))
    names = sorted(dict.fromkeys(entry["stage"] for entry in stages), key=lambda name: name.startswith("items"))
    of = {(entry["model"], entry["stage"]): entry for entry in stages}

    def cell(entry):
        if entry is None:
            return "not measured"
        text = f"{entry['predicted']:.1f} / {entry['measured']:.1f}"
        return f"**{text}** ({off(entry):+.0%})" if abs(off(entry)) > NEAR else text

    lines = [["stage", *models], ["---"] * (1 + len(models))]
    lines += [[f"`{name}`", *(cell(of.get((model, name))) for model in models)] for name in names]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main():
    import yaml

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the rates and predictions, JSON")
    parser.add_argument("--table", action="store_true", help="print the table of predictions, Markdown")
    parser.add_argument("--config", type=Path, default=ROOT / "config.yaml")
    arguments = parser.parse_args()
    found = fitted(yaml.safe_load(arguments.config.read_text()), read("knockout"), read("full_size"))
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n")
    if arguments.table:
        print(table(found["stages"]))


if __name__ == "__main__":
    main()
