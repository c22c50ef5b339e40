"""Print what a study will cost before anything starts: GPU-hours by figure and model, downloads, peak on disk, and jobs.

    snakemake estimate --config study=paper

Counts come from resources/published. Sizes come from the pins; without a pin, from the published size of a dataset, or from the
parameters of a model. Tokens follow from the sampling. Seconds were measured on one GPU by benchmarks/knockout.py and
benchmarks/full_size.py; benchmarks/stages.py holds predictions against measurements.
"""

import argparse
import json
import math
from pathlib import Path

import yaml

from avflow import cli
from avflow.tracing import costs, disk_costs, planned_jobs
from avflow.tracing.rates import Rates
from avflow.tracing.study_costs import StudyCosts

FEW = "answers of the first shards"  # part of all answers


def hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f}" if seconds < 360_000 else f"{seconds / 3600:,.0f}"


def gigabytes(number: float) -> str:
    return "unknown" if math.isnan(number) else f"{number:.0f} GB" if number >= 10 else f"{number:.1f} GB"


def datasets_of(study: StudyCosts, needs: dict) -> list[str]:
    """The datasets that a target needs: those of its analyses, or all of them if it shows every question's answer."""
    if needs.get("open_choices"):
        return list(next(iter(study.settings["open_choices"].values())))
    if needs.get("discards"):
        return [d for d in study.settings["datasets"] if d in study.settings["discards"]["tried"]]
    looks = needs.get("looks", [])
    everywhere = needs["reliance"] or not needs["cuts"] and not looks
    cuts = [study.settings["cuts"][name] for name in needs["cuts"]] + [study.settings["looks"][name] for name in looks]
    return [d for d in study.settings["datasets"] if everywhere or any(d in cut for cut in cuts)]


def gpu_table(study: StudyCosts, targets: dict[str, dict], pins: Path) -> list[list[str]]:
    """One line per target: GPU-hours of each model from nothing, then downloads.

    Work that targets share counts in each of them, and once in the last line, which leaves out what is only done on request. ">"
    means that a size is a lower bound, because a download is not pinned.
    """
    models, once, everything = list(study.settings["models"]), {}, []
    table = [["target", *models, "download"]]

    def seconds_of_cuts(*of):
        return study.cuts(*of)[0]

    def sizes(datasets):
        known = [disk_costs.pinned(pins, name) for name in (*models, *datasets)]
        least = [2 * study.shapes[m].parameters for m in models] + [1e9 * study.facts[d].gigabytes for d in datasets]
        bytes_ = [b if math.isnan(a) else a for a, b in zip(known, least)]
        more = "> " if any(map(math.isnan, known)) else ""
        return [more + gigabytes(sum(b for b in bytes_ if not math.isnan(b)) / 1e9)]

    for target, needs in targets.items():
        line, datasets = [], datasets_of(study, needs)
        everything += [d for d in datasets if d not in everything]
        for model in models:
            work = {}  # (name, dataset) -> function and arguments that give its seconds
            for dataset in datasets:
                if needs.get("open_choices"):
                    work["open choices", dataset] = study.open_choices, model, dataset
                    work[FEW, dataset] = study.first_answers, model, dataset
                    continue
                work["features", dataset] = study.encoded, model, dataset  # every figure needs features and answers
                work["answers", dataset] = study.answered, model, dataset
                if needs["reliance"]:
                    work["reliance", dataset] = study.relied, model, dataset, study.settings["variants"]
                for name in needs.get("discards", []):
                    work[name, dataset] = getattr(study, name), model, dataset
                for name in needs.get("looks", []):
                    if budget := study.settings["looks"][name].get(dataset):
                        work[name, dataset] = study.looks, model, dataset, budget
                for name in needs["cuts"]:
                    if budgets := study.settings["cuts"][name].get(dataset):
                        work[name, dataset] = seconds_of_cuts, model, dataset, budgets
            known = once.setdefault(model, {})
            known |= {part: call(*arguments) for part, (call, *arguments) in work.items() if part not in known}
            line.append(hours(sum(known[part] for part in work)))
        table.append([target, *line, *sizes(datasets)])
    rare = study.settings.get("on_request", [])

    def total(known):
        repeated = lambda part: part[0] == FEW and ("answers", part[1]) in known
        return sum(seconds for part, seconds in known.items() if part[0] not in rare and not repeated(part))

    return [*table, ["all of them", *(hours(total(once[m])) for m in models), *sizes(everything)]]


def disk_table(study: StudyCosts, pins: Path) -> list[list[str]]:
    """What lies on the disk when it is fullest. ">" says that a size is unknown, or a lower bound."""
    parts = disk_costs.on_disk(study, pins)
    downloads = [part for part in parts if part.download]
    more = "> " if any(part.least for part in downloads) else ""
    peak, loaded = disk_costs.total(parts), disk_costs.total(downloads)
    table = [[part.name, gigabytes(part.bytes / 1e9), part.how] for part in parts]
    last = ["peak, with one GPU", more + gigabytes(peak / 1e9), f"{peak / loaded:.2f} times the downloads"]
    return [["on disk", "size", "how it is known"], *table, last]


def job_tables(study: StudyCosts, profile: dict) -> list[list[list[str]]]:
    """GPU jobs by rule, and as a scheduler sees them with the groups of a profile."""
    jobs = planned_jobs.planned(study)
    ways = {
        "GPU jobs by rule": planned_jobs.by_rule(jobs),
        "submitted in groups": planned_jobs.submitted(jobs, profile["groups"], profile["group-components"]),
    }
    minutes = lambda seconds: f"{seconds / 60:.1f} min"  # noqa: E731
    tables = []
    for title, found in ways.items():
        rows = [[s.name, f"{s.jobs:,}", minutes(s.shortest), minutes(s.longest)] for s in found]
        ends = minutes(min(s.shortest for s in found)), minutes(max(s.longest for s in found))
        tables.append([[title, "jobs", "shortest", "longest"], *rows, ["all", f"{sum(s.jobs for s in found):,}", *ends]])
    return tables


def text(table: list[list[str]]) -> str:
    """The table as text, with its first column aligned left and the others right."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]) for row in table
    ]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", type=json.loads, required=True, help="models, datasets, sampling, spans, cuts, .. as JSON")
    parser.add_argument("--targets", type=json.loads, required=True, help="target -> its needs, JSON")
    parser.add_argument("--models", type=Path, required=True, help="csv of the decoders' shapes")
    parser.add_argument("--datasets", type=Path, required=True, help="csv of the datasets' sizes")
    parser.add_argument("--sweeps", type=Path, required=True, help="measured sweeps, JSON")
    parser.add_argument("--stages", type=Path, required=True, help="measured stages, JSON")
    parser.add_argument("--fitted", type=Path, required=True, help="rates that are fitted to the stages, JSON")
    parser.add_argument("--groups", type=Path, required=True, help="a profile that groups rules, YAML")
    parser.add_argument("--pins", type=Path, required=True, help="folder of the pins")
    parser.add_argument("--correct", type=float, default=0.5, help="assumed share of correctly answered questions")
    arguments = parser.parse_args()
    if not any(model.get("gpus", 1) for model in arguments.settings["models"].values()):
        print("All models of this study run on the CPU: no GPU-hours, no downloads. Run: snakemake --cores all")
        return
    shapes, facts = costs.shapes_of(costs.rows_of(arguments.models)), costs.facts_of(costs.rows_of(arguments.datasets))
    sweeps, stages, fitted = (json.loads(path.read_text()) for path in (arguments.sweeps, arguments.stages, arguments.fitted))
    rates = Rates(sweeps, stages, shapes, fitted["fitted"])
    study = StudyCosts(arguments.settings, shapes, facts, rates, arguments.correct)
    print(
        f"GPU-hours of each figure from nothing, with features and answers, on one {rates.device}.\n"
        f"Assumed: {100 * arguments.correct:.0f} % of questions are answered correctly.\n"
    )
    tables = [gpu_table(study, arguments.targets, arguments.pins), disk_table(study, arguments.pins)]
    tables += job_tables(study, yaml.safe_load(arguments.groups.read_text()))
    print(*map(text, tables), sep="\n\n")
    for dataset in arguments.settings["datasets"]:
        print(f"\n{dataset}: {facts[dataset].source}", end="")
    print()


if __name__ == "__main__":
    cli.run(main)
