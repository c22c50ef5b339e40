"""How many GPU jobs a study has, and how long each takes: by rule, and as submitted to a scheduler in groups of rules."""

import math
from dataclasses import dataclass

from .study_costs import StudyCosts

AGAIN = "extract_features_again"


@dataclass(frozen=True)
class Planned:
    """The jobs of a rule in the shards of a dataset, in one model. shards: the first n of them. seconds: of one job."""

    rule: str
    model: str
    dataset: str
    shards: int
    seconds: float


@dataclass(frozen=True)
class Submitted:
    """Jobs that a scheduler sees, of one rule or group of rules. shortest, longest: seconds."""

    name: str
    jobs: int
    shortest: float
    longest: float


def planned(study: StudyCosts) -> list[Planned]:
    """All GPU jobs of a study, without those on request. Shards of a dataset count alike."""
    return [job for model in study.settings["models"] for name in study.settings["datasets"] for job in _of(study, model, name)]


def _of(study: StudyCosts, model: str, dataset: str) -> list[Planned]:
    settings, place = study.settings, (model, dataset)
    shards, found = settings["datasets"][dataset]["shards"], []

    def add(rule, seconds, some=shards):
        found.append(Planned(rule, model, dataset, some, seconds / some))

    add("extract_features", study.encoded(*place))
    add("evaluate", study.answered(*place))
    add("reliance", study.relied(*place, settings["variants"]))
    for name, budgets in settings.get("looks", {}).items():
        if budget := budgets.get(dataset):
            some = min(shards, budget.get("shards", shards))
            add(name, study.looks(*place, {**budget, "again": False}), some)
            if budget.get("again"):
                add(AGAIN, study.encoded(*place) * some / shards, some)
    for name, budgets in settings["cuts"].items():
        if dataset in budgets and name not in settings.get("on_request", []):
            budget = budgets[dataset][0]
            some = min(shards, budget.get("shards", shards)) if "rule" in budget else shards
            add(budget.get("rule", "knockout"), study.cuts(*place, budgets[dataset])[0], some)
    if dataset in settings["discards"]["swept"]:
        add("discard_sweep", study.discards(*place))
    if dataset in settings["discards"]["tried"]:
        add("pruning", study.table_4(*place))
    if dataset in settings.get("open_choices", {}).get(model, {}):
        some = max(1, round(settings["open_choices"][model][dataset][0] * shards))
        for cut, encoded in study.open_jobs(*place):
            add("knockout", cut, some)
            if encoded:
                add("extract_features_in_another_sampling", encoded, some)
    return found


def by_rule(jobs: list[Planned]) -> list[Submitted]:
    """The jobs of every rule."""
    return submitted(jobs, {}, {})


def submitted(jobs: list[Planned], groups: dict[str, str], components: dict[str, int]) -> list[Submitted]:
    """What a scheduler sees if rules are grouped. groups: rule -> group. components: group -> shards that share a submission.

    Jobs of a group share a submission in each shard, one after the other. A rule without a group is submitted job by job.
    """
    found = []
    for name in dict.fromkeys(groups.get(job.rule, job.rule) for job in jobs):
        of, lengths = [job for job in jobs if groups.get(job.rule, job.rule) == name], []
        if name not in groups.values():
            lengths = [job.seconds for job in of for _ in range(job.shards)]
        else:
            for place in dict.fromkeys((job.model, job.dataset) for job in of):
                here = [job for job in of if (job.model, job.dataset) == place]
                lengths += [sum(j.seconds for j in here if n < j.shards) for n in range(max(job.shards for job in here))]
        many = min(components.get(name, 1), len(lengths))
        found.append(Submitted(name, math.ceil(len(lengths) / many), many * min(lengths), many * max(lengths)))
    return found
