"""What the paper leaves open, as choices: how would the figures change if it meant something else?

`sensitivity` in config.yaml lists the choices. Each has a base, which is what the rest of config.yaml says, and alternatives. An
alternative names only what differs from the base:

    spans      setting -> union -> atoms        other tokens behind a route
    layouts    dataset -> order                 another order of the prompt's parts
    sampling   model -> key of `sampling`       other frames
    windows    model -> k                       another number of layers in a window
    tasks      dataset -> patterns              other tasks

The main routes are cut under the base and under every alternative, in the same few questions. A layout, a window or a set of
tasks needs only more rows, so they share one knockout job with the base, the analysis `sensitivity`. Other spans or another
sampling make other sequences, so they have a job of their own, the analysis `sensitivity_<choice>_<alternative>`.
"""

import functools

from .config_checks import check_order, check_routes, check_spans
from .errors import InputError
from .study import Study

ANALYSIS = "sensitivity"
BASE = "base"
OWN_JOB = ("spans", "sampling")  # what makes other sequences of the same questions


def choices(study: Study) -> dict[str, dict]:
    """Choice -> its entry in config.yaml, for the choices that are open in any model and dataset of the study."""
    shown = {part["choice"] for part in parts(study)}
    return {name: choice for name, choice in _all(study).items() if name in shown}


def asked(study: Study) -> list[str]:
    """The study's datasets in which the choices are shown."""
    return [name for name in study.datasets if "sensitivity" in study.config and study.asked("sensitivity", name) is not None]


def differs(study: Study, choice: str, alternative: str, model: str, dataset: str) -> dict:
    """What differs in an alternative for a model in a dataset: spans, layout, sampling, window, tasks. Empty: nothing does."""
    chosen = _all(study)[choice]
    if alternative == BASE or "datasets" in chosen and not _named(study, dataset) & set(chosen["datasets"]):
        return {}
    told = chosen["alternatives"][alternative]
    by_dataset = lambda key: [told[key][name] for name in (dataset, study.roles.get(dataset)) if name in told.get(key, {})][:1]
    found = {"spans": told.get("spans", {}).get(study.setting(dataset))}
    found |= {"layout": next(iter(by_dataset("layouts")), None), "tasks": next(iter(by_dataset("tasks")), None)}
    found |= {"sampling": told.get("sampling", {}).get(model), "window": told.get("windows", {}).get(model)}
    return {key: value for key, value in found.items() if value is not None}


@functools.cache
def parts(study: Study) -> list[dict]:
    """One entry per model, dataset, choice and alternative, the base first: what to cut, and in which knockout job it is cut.

    Keys: model, dataset, choice, alternative, analysis, questions ("correct" or "all"), and what `differs`. A choice without an
    alternative for a model in a dataset has no entry there. Raises InputError if an alternative names something unknown.
    """
    _check(study)
    found = []
    for model in study.models:
        for dataset in asked(study):
            for choice, told in _all(study).items():
                others = {name: differs(study, choice, name, model, dataset) for name in told["alternatives"]}
                others = {name: what for name, what in others.items() if what}
                for name, what in ({BASE: {}, **others} if others else {}).items():
                    own = any(key in what for key in OWN_JOB)
                    shared = {"model": model, "dataset": dataset, "choice": choice, "alternative": name}
                    analysis = f"{ANALYSIS}_{choice}_{name}" if own else ANALYSIS
                    found.append({**shared, "analysis": analysis, "questions": told.get("questions", "correct"), **what})
    return found


def in_words(part: dict) -> str:
    """What differs in an entry of `parts`, as text: "window 5"; empty for the base."""
    found = [f"{union} = {' + '.join(atoms)}" for union, atoms in part.get("spans", {}).items()]
    found += [f"{key} {part[key]}" for key in ("sampling", "layout", "window") if key in part]
    found += [f"tasks {', '.join(part['tasks'])}"] if "tasks" in part else []
    return "; ".join(found)


def analyses(study: Study) -> list[str]:
    """The knockout jobs of all choices: first that of the base, then one for every alternative with other sequences."""
    return list(dict.fromkeys(part["analysis"] for part in parts(study)))


def _parts_of(study: Study, analysis: str, **where) -> list[dict]:
    where["analysis"] = analysis
    return [part for part in parts(study) if all(part[key] == value for key, value in where.items())]


def spans(study: Study, analysis: str, dataset: str) -> dict:
    """The unions of spans of a dataset's setting, as an analysis sees them."""
    own = study.config["spans"][study.setting(dataset)]
    return own | next((part["spans"] for part in _parts_of(study, analysis, dataset=dataset) if "spans" in part), {})


def sampling(study: Study, analysis: str, model: str) -> str | None:
    """The sampling of an analysis that does not use the model's own, otherwise None."""
    return next((part["sampling"] for part in _parts_of(study, analysis, model=model) if "sampling" in part), None)


def budgets(study: Study, analysis: str, model: str, dataset: str) -> list[dict]:
    """What a knockout job of the choices cuts in a dataset: budgets for knockout.py, without duplicates."""
    few = {key: value for key, value in study.asked("sensitivity", dataset).items() if key == "first"}
    found: dict[str, dict] = {}
    for part in _parts_of(study, analysis, model=model, dataset=dataset):
        budget = {"routes": study.config["sensitivity"]["routes"][study.setting(dataset)], **few}
        budget |= {"layouts": [part["layout"]]} if "layout" in part else {}
        budget |= {"widths": [part["window"]]} if "window" in part else {}
        others = _outside(study, dataset, part.get("tasks", []))
        if "tasks" in part and not others:  # the base's questions hold these tasks
            continue
        budget |= {"tasks": others} if others else {}
        key = repr(sorted(budget.items()))
        if found.get(key, {}).get("questions") != "all":
            found[key] = budget | {"questions": part["questions"]}
    return list(found.values())


def _outside(study: Study, dataset: str, tasks: list[str]) -> list[str]:
    """Those of some patterns of tasks that the dataset's interventions do not use anyway."""
    used = study.dataset(dataset).get("knockout_tasks")
    return [] if used is None else [task for task in tasks if task not in used]


def shards(study: Study) -> list[str]:
    """The shards of all knockout jobs: all of a dataset, or its first `shards`."""
    jobs = dict.fromkeys((part["model"], part["dataset"], part["analysis"]) for part in parts(study))
    return [path for job in jobs for path in _first_shards(study, *job)]


def _first_shards(study: Study, model: str, dataset: str, analysis: str) -> list[str]:
    every = study.shards("knockout", [dataset], [model], f"/{analysis}")
    return every[: study.asked("sensitivity", dataset).get("shards", len(every))]


def wanted_rows(study: Study) -> list[dict]:
    """Which rows of the knockout jobs belong to which choice and alternative, for gather_sensitivity.py."""
    needed = ("model", "dataset", "choice", "alternative", "differs", "analysis", "layout", "window", "tasks")
    told = [{"window": study.windows[part["model"]], "differs": in_words(part), **part} for part in parts(study)]
    return [{key: part[key] for key in needed if key in part} for part in told]


def counted(study: Study, model: str) -> dict[str, tuple[float, list[dict]]]:
    """What the choices of a model cost, for estimate.py: dataset -> share of its shards, and budgets and sampling of each job."""
    found = {}
    for dataset in asked(study):
        every = study.dataset(dataset)["shards"]
        told = {job: budgets(study, job, model, dataset) for job in analyses(study)}
        jobs = [{"budgets": of, "sampling": sampling(study, job, model)} for job, of in told.items() if of]
        found[dataset] = min(1.0, study.asked("sensitivity", dataset).get("shards", every) / every), jobs
    return found


def _all(study: Study) -> dict[str, dict]:
    return study.config.get("sensitivity", {}).get("choices", {})


def _named(study: Study, dataset: str) -> set:
    """The names that stand for a dataset: its own, and that of its role in the study."""
    return {dataset, study.roles.get(dataset)}


def _check(study: Study) -> None:
    """Raise InputError if a choice names an unknown dataset, model, sampling, span or order, or calls an alternative base."""
    config = study.config
    datasets, models = ["video", "items", *config["datasets"]], list(config["models"])
    taken = [name for name in config["knockout"]["cuts"] if name == ANALYSIS or name.startswith(f"{ANALYSIS}_")]
    if taken and _all(study):
        raise InputError(f"config.yaml: knockout/cuts/{taken[0]} has the name of a job of `sensitivity`; choose another name")
    names = [("datasets", config.get("sensitivity", {}).get("datasets", {}), datasets)]
    for choice, told in _all(study).items():
        names.append((f"choices/{choice}/datasets", told.get("datasets", []), datasets))
        for name, other in told["alternatives"].items():
            where = f"choices/{choice}/alternatives/{name}"
            if name == BASE:
                raise InputError(
                    f"config.yaml: sensitivity/{where}: what the rest of config.yaml says is {BASE}; choose another name"
                )
            names += [(f"{where}/{key}", other.get(key, []), datasets) for key in ("layouts", "tasks")]
            names += [(f"{where}/{key}", other.get(key, []), models) for key in ("sampling", "windows")]
            names.append((f"{where}/sampling", other.get("sampling", {}).values(), config["sampling"]))
            names.append((f"{where}/spans", other.get("spans", []), config["spans"]))
            for setting, unions in other.get("spans", {}).items():
                names.append((f"{where}/spans/{setting}", unions, config["spans"].get(setting, unions)))
    for where, used, known in names:
        for name in used:
            if name not in known:
                known = ", ".join(known)
                raise InputError(f"config.yaml: sensitivity/{where} names {name!r}, which is not defined; defined: {known}")
    for setting in dict.fromkeys(map(study.setting, asked(study))):
        check_routes(f"sensitivity/routes/{setting}", config["sensitivity"]["routes"][setting], setting, config["spans"][setting])
    for choice, told in _all(study).items():
        for name, other in told["alternatives"].items():
            for setting, unions in other.get("spans", {}).items():
                check_spans(f"sensitivity/choices/{choice}/alternatives/{name}/spans/{setting}", setting, unions)
            where = f"sensitivity/choices/{choice}/alternatives/{name}/layouts"
            for dataset in asked(study):
                orders = [order for of, order in other.get("layouts", {}).items() if of in _named(study, dataset)]
                check_order(where, dataset, study.setting(dataset), orders)
