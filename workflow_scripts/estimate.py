"""Print what a study will cost before anything starts: GPU-hours by figure and model, downloads and disk.

    snakemake estimate --config study=paper

Counts come from resources/published. Sizes come from the pins; without a pin, from the published size of a dataset, or from the
parameters of a model. Tokens follow from the sampling. Seconds were measured on one GPU by benchmarks/knockout.py and
benchmarks/full_size.py.
"""

import argparse
import csv
import json
import math
from pathlib import Path

from avflow import cli
from avflow.errors import InputError
from avflow.tracing import costs

FEW = "answers of the first shards"  # part of all answers


def rows_of(path) -> list[dict]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class StudyCosts:
    """A study of config.yaml, with the facts and rates that determine its costs."""

    def __init__(self, settings: dict, shapes, facts, rates, correct: float):
        self.settings, self.shapes, self.facts, self.rates, self.correct = settings, shapes, facts, rates, correct
        for kind, known in (("models", shapes), ("datasets", facts)):
            unknown = [name for name in settings[kind] if name not in known]
            if unknown:
                raise InputError(f"{unknown[0]} has no row in resources/published/{kind}.csv; add one to estimate its costs")

    def media(self, model: str, dataset: str, other: str | None = None) -> list[costs.Medium]:
        """The media of one question of a dataset: a clip; or four candidates and a reference, at average sizes.

        other: a sampling in the place of the model's own.
        """
        facts, family = self.facts[dataset], self.settings["models"][model]["family"]
        sampling = self.settings["sampling"][other or self.settings["models"][model]["sampling"]]
        size = int(facts.width), int(facts.height)
        if self.settings["datasets"][dataset]["setting"] == "av_video":
            return [costs.medium(family, sampling, "video", facts.video_seconds, *size)]
        picture = costs.medium(family, sampling, "image", 0, *size)
        sound = costs.medium(family, sampling, "audio", facts.audio_seconds, *size)
        return [picture] * 4 + [sound]  # image candidates, sound reference: the commoner and the longer direction

    def spans(self, model: str, dataset: str, other: str | None = None):
        setting, media = self.settings["datasets"][dataset]["setting"], self.media(model, dataset, other)
        unions = self.settings["spans"][setting]
        if setting == "av_video":
            return costs.skeleton(setting, media[0], None, None, unions)
        return costs.skeleton(setting, None, media[0], media[-1], unions)

    def encoding(self, model: str, dataset: str, other: str | None = None) -> float:
        """Seconds to encode all questions' media, without starts."""
        facts, media = self.facts[dataset], self.media(model, dataset, other)
        family = self.settings["models"][model]["family"]
        alike = [m for m, shape in self.shapes.items() if self.settings["models"].get(m, {}).get("family") == family]
        tokens, setting = sum(m.tokens for m in media), self.settings["datasets"][dataset]["setting"]
        return facts.media / len(media) * self.rates.encode(alike, setting, tokens)

    def answers(self, model: str, dataset: str, times: int = 1) -> float:
        """Seconds to encode all questions' media and answer each question `times` times."""
        forward = self.rates.forward(self.shapes[model], self.spans(model, dataset).length)
        asked = times * self.facts[dataset].questions * forward
        return self.encoding(model, dataset) + asked + self.starts(model, dataset, 2)

    def frames(self, model: str, dataset: str) -> float:
        """Bytes of a dataset's decoded frames in the model's sampling."""
        media = self.media(model, dataset)
        return self.facts[dataset].media / len(media) * sum(3 * m.frames * m.pixels for m in media)

    def starts(self, model: str, dataset: str, jobs: int) -> float:
        return jobs * self.settings["datasets"][dataset]["shards"] * self.rates.start(model)

    def cuts(self, model: str, dataset: str, budgets: list[dict], other: str | None = None) -> tuple[float, float]:
        """Seconds and rows of an analysis's knockouts in a dataset. Budgets after the first add only their controls.

        Budgets with `tasks` ask for tasks outside the questions for interventions, which are taken to be of the same size.
        """
        facts, shape, seconds, rows = self.facts[dataset], self.shapes[model], 0.0, 0.0
        spans, width = self.spans(model, dataset, other), self.settings["models"][model]["window"]
        for i, budget in enumerate(budgets):
            asked = budget.get("questions", "correct")
            number = facts.knockout_questions * {"all": 1, "wrong": 1 - self.correct}.get(asked, self.correct)
            tasks = len(budget["tasks"]) if "tasks" in budget else facts.knockout_tasks
            number *= tasks / facts.knockout_tasks
            for most in (asked, budget.get("first")):
                if isinstance(most, int):
                    number = min(number, most * tasks)
            ideal, count = costs.sweep(spans, shape.layers, [budget], width)
            if i:
                base, real = costs.sweep(spans, shape.layers, [{**budget, "controls": {}}], width)
                ideal, count = ideal - base, count - real
            seconds += number * self.rates.knockouts(shape, spans.length, ideal, count)
            rows += number * count
        return seconds + self.starts(model, dataset, 1), rows

    def open_choices(self, model: str, dataset: str) -> float:
        """Seconds of the knockouts of all choices that the paper leaves open, with media in another sampling encoded anew."""
        seconds, (share, jobs) = 0.0, self.settings["open_choices"][model][dataset]
        for job in jobs:
            other, start = job["sampling"], self.starts(model, dataset, 1)
            cut = [self.cuts(model, dataset, [budget], other)[0] - start for budget in job["budgets"]]
            seconds += start + sum(cut)
            seconds += self.encoding(model, dataset, other) + start if other else 0.0
        return share * seconds

    def first_answers(self, model: str, dataset: str) -> float:
        """Seconds of features and answers in those shards of a dataset in which the choices are shown."""
        return self.settings["open_choices"][model][dataset][0] * self.answers(model, dataset)

    def discards(self, model: str, dataset: str) -> float:
        """Seconds of discarding after every layer in a dataset; 0 if it is not swept."""
        asked, facts, shape = self.settings["discards"], self.facts[dataset], self.shapes[model]
        if dataset not in asked["swept"]:
            return 0.0
        spans, first = self.spans(model, dataset), asked["sweep"].get("first", facts.knockout_questions)
        kinds = asked["kinds"][self.settings["datasets"][dataset]["setting"]]
        ideal, count = costs.discards(spans, shape.layers, kinds, asked["random"], asked["sweep"]["stride"])
        number = min(facts.knockout_questions, first * facts.knockout_tasks)
        return number * self.rates.knockouts(shape, spans.length, ideal, count) + self.starts(model, dataset, 1)

    def table_4(self, model: str, dataset: str) -> float:
        """Seconds of Table 4's forwards in a dataset, with its media encoded once more."""
        asked = self.settings["discards"]
        if dataset not in asked["tried"]:
            return 0.0
        kinds = asked["kinds"][self.settings["datasets"][dataset]["setting"]]
        share = self.facts[dataset].table_4_questions / self.facts[dataset].questions
        starts = self.starts(model, dataset, 2)
        return share * (self.answers(model, dataset, 3 + len(kinds) + asked["random"] + asked["ranked"]) - starts) + starts / 2

    def looks(self, model: str, dataset: str, budget: dict) -> float:
        """Seconds of a budget's full forwards: `forwards` per question. `first`: only the first n questions of every task."""
        facts = self.facts[dataset]
        shards = self.settings["datasets"][dataset]["shards"]
        number = min(facts.questions, budget["first"] * facts.knockout_tasks) if "first" in budget else facts.questions
        number *= min(1, budget.get("shards", shards) / shards)
        forward = self.rates.forward(self.shapes[model], self.spans(model, dataset).length)
        return number * budget["forwards"] * forward + self.starts(model, dataset, 1)


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
    """One line per target: GPU-hours of each model from nothing, then downloads and kept frames.

    Work that targets share counts in each of them, and once in the last line. ">" means that a size is a lower bound, because a
    download is not pinned.
    """
    models, once, everything = list(study.settings["models"]), {}, []
    table = [["target", *models, "download", "frames"]]

    def seconds_of_cuts(*of):
        return study.cuts(*of)[0]

    def sizes(datasets):
        known = [pinned(pins, name) for name in (*models, *datasets)]
        least = [2 * study.shapes[m].parameters for m in models] + [1e9 * study.facts[d].gigabytes for d in datasets]
        bytes_ = [b if math.isnan(a) else a for a, b in zip(known, least)]
        more = "> " if any(map(math.isnan, known)) else ""
        samplings = {study.settings["models"][m]["sampling"]: m for m in models}
        frames = sum(study.frames(m, d) for m in samplings.values() for d in datasets)
        return [more + gigabytes(sum(b for b in bytes_ if not math.isnan(b)) / 1e9), gigabytes(frames / 1e9)]

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
                work["answers", dataset] = study.answers, model, dataset  # every figure needs features and answers
                if needs["reliance"]:
                    work["reliance", dataset] = study.answers, model, dataset, study.settings["variants"]
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
    total = lambda known: sum(seconds for part, seconds in known.items() if part[0] != FEW or ("answers", part[1]) not in known)  # noqa: E731
    return [*table, ["all of them", *(hours(total(once[m])) for m in models), *sizes(everything)]]


def pinned(folder: Path, name: str) -> float:
    """Bytes of a pinned download; NaN if it is not pinned."""
    path = folder / f"{name}.json"
    files = json.loads(path.read_text())["files"] if path.exists() else None
    return sum(f["size"] for f in files) if files else math.nan


def disk_table(study: StudyCosts, pins: Path) -> list[list[str]]:
    """Sizes on disk: downloads, frames by sampling, features by model, and rows."""
    table = [["on disk", "size", "how it is known"]]
    for model, shape in study.shapes.items():
        if model in study.settings["models"]:
            size, least = pinned(pins, model), 2 * shape.parameters
            known = not math.isnan(size)
            table.append([f"download {model}", gigabytes((size if known else least) / 1e9), "pinned" if known else "at least"])
    for dataset in study.settings["datasets"]:
        size = pinned(pins, dataset)
        known = not math.isnan(size)
        size = size / 1e9 if known else study.facts[dataset].gigabytes
        table.append([f"download {dataset}", gigabytes(size), "pinned" if known else "published"])
        table.append([f"media of {dataset}", gigabytes(size), "at most: only media in use are unpacked"])
    frames, features, rows = {}, {}, 0.0
    for model, settings in study.settings["models"].items():
        features[model] = 0.0
        for dataset in study.settings["datasets"]:
            media, facts = study.media(model, dataset), study.facts[dataset]
            questions = facts.media / len(media)
            frames[settings["sampling"], dataset] = study.frames(model, dataset)
            features[model] += 2 * questions * sum(m.tokens for m in media) * study.shapes[model].hidden
            budgets = [b[dataset] for b in study.settings["cuts"].values() if dataset in b]
            rows += costs.ROW_BYTES * sum(study.cuts(model, dataset, b)[1] for b in budgets)
    for name in sorted({sampling for sampling, _ in frames}):
        size = sum(v for (sampling, _), v in frames.items() if sampling == name)
        table.append([f"frames {name}", gigabytes(size / 1e9), "kept"])
    kept = "kept" if study.settings["keep_features"] else "each shard's features are removed once used"
    table += [[f"features {model}", gigabytes(size / 1e9), kept] for model, size in features.items()]
    return [*table, ["rows of knockouts", gigabytes(rows / 1e9), "kept"]]


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
    parser.add_argument("--pins", type=Path, required=True, help="folder of the pins")
    parser.add_argument("--correct", type=float, default=0.5, help="assumed share of correctly answered questions")
    arguments = parser.parse_args()
    if not any(model.get("gpus", 1) for model in arguments.settings["models"].values()):
        print("All models of this study run on the CPU: no GPU-hours, no downloads. Run: snakemake --cores all")
        return
    shapes, facts = costs.shapes_of(rows_of(arguments.models)), costs.facts_of(rows_of(arguments.datasets))
    rates = costs.Rates(json.loads(arguments.sweeps.read_text()), json.loads(arguments.stages.read_text()), shapes)
    study = StudyCosts(arguments.settings, shapes, facts, rates, arguments.correct)
    print(
        f"GPU-hours of each figure from nothing, with features and answers, on one {rates.device}.\n"
        f"Assumed: {100 * arguments.correct:.0f} % of questions are answered correctly.\n"
    )
    print(text(gpu_table(study, arguments.targets, arguments.pins)), text(disk_table(study, arguments.pins)), sep="\n\n")
    for dataset in arguments.settings["datasets"]:
        print(f"\n{dataset}: {facts[dataset].source}", end="")
    print()


if __name__ == "__main__":
    cli.run(main)
