"""Input files and command-line options of each rule's jobs, from a Study: files as lists, options as text.

    jobs.layer_shards(study, "tiny-omni")                # the files that discard_layers.py reads
    jobs.knockout_cuts(study, "figure_4", "mini-video")  # --cuts of knockout.py

figure_table.py does the same for figures.
"""

import functools
import json
import shlex
from pathlib import Path

from . import open_choices
from .errors import InputError
from .figure_table import (
    FIGURES,
    File,
    analyses_by_default,
    asked,
    drawable,
    drawing,
    drawn_by_default,
    inputs,
    parameters,
    table_4,
    unasked_claims,
)
from .places import is_repository
from .storage import provenance
from .study import OWN_RULES, Study

LAYERS_FOLLOW_FROM = ("figure_4", "question_words", "figure_5", "figure_6")  # from these, the layers of discards follow
MANY = 1 << 30
NOT_ASKED = (  # keys of a dataset that do not affect which of its questions are taken or how they are asked
    *("shards", "reliance_questions", "discard_questions", "timed_questions", "timed_repeats", "swept_questions", "random_draws"),
    *("media_folder", "questions_file"),
    *("repo", "revision", "licence", "files"),
)
RENAMED = {"questions": "per_task", "knockout_questions": "knockout"}  # keys of a dataset -> options of prepare.py


def as_options(settings: dict) -> str:
    """{"max_frames": 768} -> "--max-frames 768". Lists and mappings become JSON; true gives the bare option, false no option."""
    parts = []
    for name, value in settings.items():
        if value is not False:
            parts.append(f"--{name.replace('_', '-')}")
        if not isinstance(value, bool):
            parts.append(as_json(value) if isinstance(value, (list, dict)) else str(value))
    return shlex.join(parts)


def as_json(value) -> str:
    return json.dumps(value, sort_keys=True)


def checkpoint(study: Study, model: str) -> list[str]:
    """The files of a checkpoint. For a download, its manifest, which is written once all files are complete and verified."""
    folder = study.checkpoint_folder(model)
    if "repo" in study.model(model):
        return [f"{folder}/manifest.json"]
    kept = (".json", ".safetensors", ".jinja")
    return sorted(f"{folder}/{p.name}" for p in (study.folder / folder).glob("*") if p.suffix in kept)


def frames(study: Study, dataset: str, name: str, shard: str) -> str:
    """A shard of frames. name: a sampling, or a model, for its own sampling."""
    sampling = study.model(name)["sampling"] if name in study.models else name
    return f"{study.paths['results']}/frames/{dataset}/{sampling}/{shard}.safetensors"


def media_source(study: Study, dataset: str, name: str, shard: str) -> str:
    """Options that say where an encoding job takes a shard's frames: from their file, or from the media, if no frames are kept.

    name: as for `frames`.
    """
    if study.keeps_frames:
        return as_options({"frames": frames(study, dataset, name, shard)})
    sampling_ = study.model(name)["sampling"] if name in study.models else name
    media = {"media": media_list(study, dataset, shard), "media_root": study.media_root(dataset)}
    decode = f"{as_options({**media, 'remedy': remake_media(study, dataset)})} {sampling(study, sampling_)}"
    return shlex.quote(f"--decode={decode}")


def sampled_table(study: Study, dataset: str, name: str, shard: str) -> list[str]:
    """The table of how a shard's media were sampled that a model's encoding job writes; none if a shard of frames has one."""
    return [] if study.keeps_frames else [f"{study.paths['results']}/features/{name}/{dataset}/{shard}.tsv"]


def sampled(study: Study) -> dict[tuple[str, str], list[str]]:
    """(dataset, sampling) -> the tables of its shards that say how media were sampled.

    Without frames on disk, the first model with a sampling makes its tables, for datasets that are encoded.
    """
    of = {study.model(m)["sampling"]: m for m in reversed(study.models)}
    if not study.keeps_frames:
        one = lambda d, m, n: sampled_table(study, d, m, n)[0]
        return {(d, s): [one(d, m, n) for n in range(study.dataset(d)["shards"])] for d in study.datasets for s, m in of.items()}
    pairs = dict.fromkeys((d, study.model(m)["sampling"]) for d in [*study.datasets, *study.tried] for m in study.models)
    folder = f"{study.paths['results']}/frames"
    return {(d, name): [f"{folder}/{d}/{name}/{n}.tsv" for n in range(study.dataset(d)["shards"])] for d, name in pairs}


def sampled_media(study: Study) -> str:
    """Which sampling each model's tables are of."""
    return as_options({"samplings": {name: study.model(name)["sampling"] for name in study.models}})


def features_again(study: Study, name: str, dataset: str, shard: str) -> str:
    """The encoder outputs that `sufficiency` reads. It waits for all knockouts, so if no features are kept, it has its own."""
    again = "" if study.keeps_features else "for_sufficiency/"
    return f"{study.paths['results']}/features/{name}/{dataset}/{again}{shard}.safetensors"


def features(study: Study, name: str, dataset: str, analysis: str, shard: str) -> str:
    """The encoder outputs that a knockout job reads: in the model's own sampling, or in that of an alternative."""
    other = open_choices.sampling(study, analysis, name) if analysis in open_choices.analyses(study) else None
    return f"{study.paths['results']}/features/{name}/{dataset}/{f'{other}/' if other else ''}{shard}.safetensors"


def knockout_shards(study: Study, analysis: str) -> list[str]:
    """The shards of an analysis in which it cuts: all of a dataset, or the first `shards`."""
    return [path for dataset in study.cut_in(analysis) for path in _shards_of_cuts(study, analysis, dataset, study.models)]


def _shards_of_cuts(study: Study, analysis: str, dataset: str, models: list[str]) -> list[str]:
    count = min(study.dataset(dataset)["shards"], study.budget(analysis, dataset).get("shards", MANY))
    folder = f"{study.paths['results']}/knockout"
    return [f"{folder}/{model}/{dataset}/{analysis}/{n}.parquet" for n in range(count) for model in models]


def ranked_heads(study: Study, analysis: str, model: str, dataset: str) -> list[str]:
    """The shards whose cuts in single heads say which are the strongest, for an analysis with `strongest`; none for others."""
    strongest = study.budget(analysis, dataset).get("strongest") if analysis in study.analyses else None
    return _shards_of_cuts(study, strongest["of"], dataset, [model]) if strongest else []


def layer_shards(study: Study, model: str) -> list[str]:
    """The shards of knockouts from which a model's layers of discards follow; none for layers that config.yaml names.

    Raises InputError if a route by which a kind of token is read is not cut.
    """
    given = study.model(model).get("discard_layers", {})
    found = []
    for setting, dataset in study.settings.items():
        if setting in given or dataset not in study.swept:
            continue
        budgets = {name: study.budget(name, dataset) for name in LAYERS_FOLLOW_FROM if name in study.analyses}
        cut = {name: set(budget["routes"]) for name, budget in budgets.items() if budget}
        routes = {route for kind in study.config["pruning"]["kinds"][setting].values() for route in kind["routes"]}
        if missing := sorted(routes.difference(*cut.values())):
            raise InputError(
                f"config.yaml: pruning/kinds/{setting} has the route {missing[0]}, which none of {', '.join(LAYERS_FOLLOW_FROM)}"
                f" cuts in {dataset}; add it to knockout/cuts, or give models/{model} discard_layers/{setting}"
            )
        for analysis in cut:
            if routes & cut[analysis]:
                found += study.shards("knockout", [dataset], [model], f"/{analysis}")
    return found


def first_shards(study: Study, part: str, datasets: list[str]) -> list[str]:
    """The shards of a part, such as "sufficiency", in these datasets: all of a dataset, or the first `shards`."""
    return [
        f"{study.paths['results']}/{part}/{model}/{dataset}/{n}.parquet"
        for dataset in datasets
        for model in study.models
        for n in range(min(study.dataset(dataset)["shards"], study.asked(part, dataset).get("shards", MANY)))
    ]


def sufficiency_shards(study: Study) -> list[str]:
    """The shards in which only the found routes are kept open."""
    return first_shards(study, "sufficiency", study.kept_open)


def resample_shards(study: Study) -> list[str]:
    """The shards in which routes are patched."""
    return first_shards(study, "resample", study.patched)


def conflict_shards(study: Study) -> list[str]:
    """The shards in which pictures are asked about with another clip's sound."""
    return first_shards(study, "conflict", study.mixed)


def where_shards(study: Study) -> list[str]:
    """The shards in which times and places are cut."""
    return first_shards(study, "where", study.located)


def resample(study: Study, dataset: str) -> str:
    """Options of resample.py: the routes to patch, and the questions of a dataset to ask."""
    return _paired(study, "resample", dataset, study.config["resample"]["routes"][study.setting(dataset)])


def conflict(study: Study, dataset: str) -> str:
    """Options of conflict.py: the routes to cut and patch, and the questions of a dataset to ask."""
    return _paired(study, "conflict", dataset, study.config["conflict"]["routes"])


def _paired(study: Study, part: str, dataset: str, routes: list[str]) -> str:
    asked = study.asked(part, dataset)
    options = {"stride": study.config[part].get("stride", 1), **({"first": asked["first"]} if "first" in asked else {})}
    return f"--routes {shlex.join(routes)} --tasks {shlex.join(asked.get('tasks', ['*']))} {as_options(options)}"


def where(study: Study, dataset: str) -> str:
    """Options of where.py: the targets, how many parts a clip has, and the questions of a dataset to ask."""
    given, asked = study.config["where"], study.asked("where", dataset)
    options = {key: given[key] for key in ("times", "tiles", "cells", "stride") if key in given}
    options |= {"first": asked["first"]} if "first" in asked else {}
    tokens = "--tokens " if given.get("tokens") else ""
    tasks = shlex.join(asked.get("tasks", ["*"]))
    return f"--targets {shlex.join(given['targets'])} --tasks {tasks} {tokens}{as_options(options)}"


def sufficiency_tables(study: Study, dataset: str) -> list[str]:
    """The tables that say which routes matter in a dataset."""
    names = study.config["sufficiency"]["analyses"]
    return study.knockout_tables(*(name for name in names if study.budget(name, dataset) is not None))


def pin(study: Study, name: str) -> str:
    """The pin file of a model or dataset. Raises InputError with the remedy if it is missing or pins another repository."""
    path, remedy = study.found(f"resources/pins/{name}.json"), f"run: snakemake pin --config study={study.name}"
    if not (study.folder / path).is_file():
        raise InputError(f"{path} is missing; {remedy}")
    pinned = json.loads((study.folder / path).read_text(encoding="utf-8"))["repo"]
    wanted = {**study.config["models"], **study.config["datasets"]}[name]["repo"]
    if pinned != wanted:
        raise InputError(f"{path} pins {pinned}, but config.yaml names {wanted}; {remedy}")
    return path


def pin_targets(study: Study) -> str:
    """The models and datasets that the study takes from the hub, as JSON for pin.py."""
    wanted = {name: {"repo_type": "model", **study.model(name)} for name in study.from_hub("models")}
    wanted |= {name: {"repo_type": "dataset", **study.dataset(name)} for name in study.from_hub("datasets")}
    keys = ("repo", "repo_type", "revision", "files", "licence")
    return as_json({name: {key: value for key, value in of.items() if key in keys} for name, of in wanted.items()})


def model(study: Study, name: str) -> str:
    """Options that say which model to load, and how."""
    given = study.model(name)
    given = {**given, "checkpoint": study.checkpoint_folder(name)} | ({} if given["gpus"] else {"device": "cpu"})
    given |= {"max_tokens": most} if (most := study.config["sampling"][given["sampling"]].get("max_tokens")) else {}
    names = ("family", "checkpoint", "dtype", "system_prompt", "positions", "max_tokens", "device")
    return as_options({key: given[key] for key in names if key in given})


def spans(study: Study, dataset: str, analysis: str = "") -> str:
    """The unions of spans in config.yaml for a dataset's setting, as JSON. analysis: it may be an alternative's, with its own."""
    setting = study.setting(dataset)
    other = analysis in open_choices.analyses(study)
    return as_json({setting: open_choices.spans(study, analysis, dataset) if other else study.config["spans"][setting]})


def prepare(study: Study, dataset: str) -> str:
    """Which questions of a dataset to take, and how to ask them. The miniature's tasks are chosen when it is rendered."""
    given = study.dataset(dataset)
    left_out = {*NOT_ASKED, *(["tasks"] if given["type"] == "miniature" else [])}
    return as_options({RENAMED.get(key, key): value for key, value in given.items() if key not in left_out} | decoding(study))


def sampling(study: Study, name: str) -> str:
    """How media become frames and sound."""
    return as_options(study.config["sampling"][name] | decoding(study))


def decoding(study: Study) -> dict:
    """The library that reads frames, and the limit of a picture."""
    return {key: study.config[key] for key in ("reader", "max_picture_pixels")}


@functools.cache
def media_state(study: Study, dataset: str) -> str:
    """A digest of all files below the media folder of your own questions; empty for media that a rule makes."""
    folder = study.dataset(dataset).get("media_folder")
    results = [study.folder / study.paths[name] for name in ("results", "logs", "downloads")]
    return provenance.folder_state(study.folder / study.found(folder), results) if folder else ""


def told(study: Study, dataset: str, sources: list[str]) -> str:
    """What decides the outputs of prepare, as JSON: "files", the state of your own media, and "plan", all the rest."""
    if not media_state(study, dataset):
        return ""
    files = [study.folder / path for path in (study.questions_file(dataset), *sources)]
    there = provenance.file_hash(*(path for path in files if path.is_file()))
    plan = [prepare(study, dataset), study.media_root(dataset), study.dataset(dataset)["shards"], there]
    return as_json({"files": media_state(study, dataset), "plan": provenance.text_hash(*map(str, plan))})


def media_list(study: Study, dataset: str, shard) -> str:
    """The list of a shard's media, which preprocess_media reads."""
    return f"{study.paths['results']}/media/{dataset}/{shard}.jsonl"


def remake_media(study: Study, dataset: str) -> str:
    """What to do about a medium that is not what it was when it was probed."""
    if "media_folder" in study.dataset(dataset):
        return "run the same command again"
    rule = "render_miniature" if study.dataset(dataset)["type"] == "miniature" else "prepare_benchmark"
    return f"run the same command again with --forcerun {rule}"


def reliance(study: Study, dataset: str) -> str:
    """Which questions of a dataset are asked again without a sense, and in how many orders of their options."""
    first = study.dataset(dataset).get("reliance_questions")
    return as_options({"shuffles": study.config["reliance"]["shuffles"], **({"first": first} if first else {})})


def knockout_cuts(study: Study, analysis: str, dataset: str, name: str = "") -> str:
    """The budgets of an analysis in a dataset, as JSON. name: the model's, which open choices depend on."""
    if analysis in open_choices.analyses(study):
        return as_json(open_choices.budgets(study, analysis, name, dataset))
    return as_json([_for_script(budget) for budget in study.budgets(analysis, dataset)])


def _for_script(budget: dict) -> dict:
    """A budget without what knockout.py is told otherwise: which shards there are, and which analysis ranks heads."""
    told = {key: value for key, value in budget.items() if key != "shards"}
    if "strongest" in told:
        told["strongest"] = {key: value for key, value in told["strongest"].items() if key != "of"}
    return told


def gather_sensitivity(study: Study) -> str:
    """Which rows belong to which choice and alternative, as JSON."""
    return as_json(open_choices.wanted_rows(study))


def gather_knockout(study: Study, analysis: str) -> str:
    """An analysis of right or of wrong answers may have no rows: its figure says so. One of all questions has some."""
    return as_options({"may_be_empty": all(study.budget(analysis, d).get("questions") != "all" for d in study.cut_in(analysis))})


def attention(study: Study, name: str, dataset: str) -> str:
    """Options of attention.py: the questions of a dataset to read, and what to mask and compare."""
    settings = study.config["attention"]
    chosen = {**study.asked("attention", dataset), "maps": settings["maps"], "bins": settings["bins"]}
    if study.setting(dataset) == "av_video":
        chosen |= {name: settings[name] for name in ("masked", "masked_early", "change")}
    layers = " ".join(map(str, study.model(name).get("masked_layers", [])))
    return f"{as_options(chosen)} --masked-layers {layers}" if layers else as_options(chosen)


def sufficiency(study: Study, dataset: str) -> str:
    """Options of sufficiency.py: the questions of a dataset to ask, and the thresholds of the routes that stay open."""
    settings = study.config["sufficiency"]
    asked = {key: value for key, value in study.asked("sufficiency", dataset).items() if key != "shards"}
    return f"{as_options({**asked, 'draws': settings['draws']})} --thresholds {' '.join(map(str, settings['thresholds']))}"


def _random_draws(study: Study, dataset: str) -> int:
    return study.dataset(dataset).get("random_draws", study.config["pruning"]["random"])


def swept(study: Study, dataset: str) -> dict:
    """How a dataset's discards are swept: draws of random tokens, layers between discards, and questions per task if not all."""
    given, pruning = study.dataset(dataset), study.config["pruning"]
    first = {"first": given["swept_questions"]} if "swept_questions" in given else {}
    return {"random": _random_draws(study, dataset), **pruning["sweep"], **first}


def discard_sweep(study: Study, dataset: str) -> str:
    """What is discarded after every layer, and in how many questions of a dataset."""
    pruning = study.config["pruning"]
    kinds = {setting: {name: kind["tokens"] for name, kind in kinds.items()} for setting, kinds in pruning["kinds"].items()}
    return as_options({"discards": kinds, **swept(study, dataset)})


def discard_layers(study: Study, name: str) -> str:
    """What a model's layers of discards follow from."""
    pruning = study.config["pruning"]
    datasets = {setting: dataset for setting, dataset in study.settings.items() if dataset in study.swept}
    options = {"given": study.model(name).get("discard_layers"), "kinds": pruning["kinds"], "datasets": datasets}
    options |= {"threshold": pruning["threshold"], "kl": pruning["vtw"]["kl"], "kl_questions": pruning["vtw"]["questions"]}
    return shlex.join(x for key, value in options.items() for x in (f"--{key.replace('_', '-')}", as_json(value)))


def pruning(study: Study, dataset: str) -> str:
    """In which questions of a dataset tokens are discarded, and how."""
    given, asked = study.dataset(dataset), study.config["pruning"]
    tasks = [task for part in study.discards.values() for task in part.get(dataset, [])]
    options = {"random": _random_draws(study, dataset), "fastv": asked["fastv"]}
    options |= {"timed": given.get("timed_questions", asked["timed"])}
    options |= {"repeats": given.get("timed_repeats", asked["repeats"])}
    first = given.get("discard_questions")
    return f"{shlex.join(['--tasks', *tasks])} {as_options(options | ({'first': first} if first else {}))}"


def tab1(study: Study) -> str:
    """The dataset, how the study asks, and settings of the intervals."""
    return as_options({"dataset": study.video, "asked": asked(study), **drawing(study)})


def tab4(study: Study) -> str:
    """The tasks in each part of Table 4, the margin, settings of the intervals, and the output files."""
    files = {path.rsplit("/tab4_")[-1].removesuffix(".csv"): path for path in table_4(study, "csv")}
    options = {"parts": study.discards, "margin": study.config["pruning"]["margin"], "asked": asked(study)}
    options |= {**drawing(study), **files}
    return f"{as_options(options)} {shlex.join(['--models', *study.models])}"


def claims(study: Study) -> str:
    """The models, datasets and settings of intervals behind the verdicts, and how the study asks."""
    datasets = {"video": study.video, "items": study.items}
    options = {"tables": study.paths["tables"], "models": study.windows, "datasets": datasets, **drawing(study)}
    without = {"without": left_out} if (left_out := unasked_claims(study)) else {}
    return as_options(options | {"least": study.config["figures"]["least"], "asked": asked(study), **without})


def notebook(study: Study, figure: str) -> str:
    """A notebook's parameters as options of run_notebook.py: {"seed": 0} -> "-p seed 0". Values that are not text become JSON."""
    given = parameters(study, figure)
    if not is_repository(study.folder):  # notebooks run in the repository
        given = _absolute(given, study.folder.absolute())
    told = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
    options = shlex.join(part for name, value in told.items() for part in ("-p", name, value))
    return f"{options} {as_options({'stamp': study.stamp})}" if study.stamp else options


def _absolute(value, folder: Path):
    """A parameter with the files in it as absolute paths."""
    if isinstance(value, dict):
        return {name: _absolute(part, folder) for name, part in value.items()}
    if isinstance(value, list):
        return [_absolute(part, folder) for part in value]
    return str(folder / value) if isinstance(value, File) else value


def estimate(study: Study) -> str:
    """The settings that determine the study's costs, and what every target needs."""
    return as_options({"settings": costly(study), "targets": estimated_targets(study)})


def check(study: Study) -> str:
    """What check.py holds against the machine: the settings that determine costs, what comes from the hub, and folders."""
    about = {"study": study.name, "settings": costly(study), "targets": json.loads(pin_targets(study))}
    folders = {name: study.paths[name] for name in ("results", "downloads")}
    return as_options({**about, "reader": study.config["reader"], **folders})


def costly(study: Study) -> dict:
    """The settings that determine the study's costs."""
    config, cuts = study.config, {}
    for name in study.analyses:
        cuts[name] = {dataset: study.budgets(name, dataset) for dataset in study.cut_in(name)}
    for part, datasets in (("resample", study.patched), ("conflict", study.mixed)):
        for dataset in datasets:
            routes = config[part]["routes"]
            routes = routes[study.setting(dataset)] if part == "resample" else routes
            wanted = {"routes": routes, "stride": config[part].get("stride", 1), **study.asked(part, dataset)}
            # Both directions of a patch cost what a cut and a patch of a conflict do.
            cuts.setdefault(part, {})[dataset] = [wanted | {"questions": "all", "directions": 2, "rule": part}]
    for dataset in study.located:
        given = config["where"]
        routes = [f"{sense}->{target}" for target in given["targets"] for sense in ("audio", "video")]
        parts = {"audio": given["times"], "video": given["times"] + given["tiles"] + given["cells"]}
        wanted = {"routes": routes, "stride": given.get("stride", 1), "parts": parts, **study.asked("where", dataset)}
        cuts.setdefault("where", {})[dataset] = [wanted | {"questions": "all", "rule": "where"}]
    discards = {"swept": {name: swept(study, name) for name in study.swept}, "tried": study.tried}
    discards["random"] = {name: _random_draws(study, name) for name in study.tried}
    discards["kinds"] = {of: [kind["tokens"] for kind in kinds.values()] for of, kinds in config["pruning"]["kinds"].items()}
    discards["ranked"] = len(config["pruning"]["fastv"]["keep"])
    discards["timed"] = {name: _timed(study, name) for name in study.tried}
    kept_open = config["sufficiency"]
    forwards = {"attention": 1, "sufficiency": 3 + (1 + kept_open["draws"]) * len(kept_open["thresholds"])}
    asked = {"attention": study.attended, "sufficiency": study.kept_open}
    looks = {
        part: {dataset: {**study.asked(part, dataset), "forwards": forwards[part]} for dataset in datasets}
        for part, datasets in asked.items()
    }
    for budget in looks["attention"].values():
        budget["maps"] = config["attention"]["maps"]
    if not study.keeps_features:
        looks["sufficiency"] = {dataset: {**budget, "again": True} for dataset, budget in looks["sufficiency"].items()}
    return {
        "models": {name: study.model(name) for name in study.models},
        "datasets": {name: study.dataset(name) for name in study.datasets},
        "sampling": config["sampling"],
        "spans": config["spans"],
        "cuts": cuts,
        "on_request": [name for name in cuts if name not in estimated_targets(study)["tables"]["cuts"]],
        "keep_frames": study.keeps_frames,
        "keep_features": study.keeps_features,
        "variants": 4 + config["reliance"]["shuffles"],
        "discards": discards,
        "looks": looks,
        "open_choices": {name: open_choices.counted(study, name) for name in study.models},
    }


def _timed(study: Study, dataset: str) -> tuple[int, int]:
    """How many questions of Table 4 are timed in a dataset, and how often."""
    told, asked = study.dataset(dataset), study.config["pruning"]
    tasks = sum(len(part.get(dataset, [])) for part in study.discards.values())
    return tasks * told.get("timed_questions", asked["timed"]), told.get("timed_repeats", asked["repeats"])


def estimated_targets(study: Study) -> dict[str, dict]:
    """Target -> what it needs: knockouts by analysis, attention, sufficiency, reliance, discards, open choices.

    Only targets with a model.
    """
    needs = {}
    for name in drawable(study):
        read = {path.rsplit("/")[-1].removesuffix(".parquet") for path in inputs(study, name) if path.endswith(".parquet")}
        if not read:
            continue
        if "sensitivity" in read:
            needs[name] = {"cuts": [], "reliance": False, "open_choices": True}
            continue
        if own := [part for part in OWN_RULES if part in read]:
            beside = [analysis for analysis in study.analyses if f"knockout_{analysis}" in read]
            needs[name] = {"cuts": [*own, *beside], "reliance": False}
            continue
        cuts = study.config["sufficiency"]["analyses"] if "sufficiency" in read else FIGURES[name].analyses
        looks = [part for part in ("attention", "sufficiency") if part in read]
        needs[name] = {"cuts": [a for a in cuts if a in study.analyses], "looks": looks, "reliance": "reliance" in read}
    if study.swept:  # Table 4 needs knockouts because its layers follow from them
        chosen = {"cuts": [name for name in LAYERS_FOLLOW_FROM if name in study.analyses], "reliance": False}
        needs["app_discard_layers"] = {"cuts": [], "reliance": False, "discards": ["discards"]}
        needs["tab4, app_pareto"] = chosen | {"discards": ["discards", "table_4"]}
        needs.pop("app_pareto")
    cuts = [*analyses_by_default(study), *(part for part in OWN_RULES if f"app_{part}" in drawn_by_default(study))]
    needs["tables"] = {"cuts": cuts, "looks": ["attention", "sufficiency"], "reliance": True}
    return needs
