"""What each figure needs. Its entry in FIGURES gives the notebook's parameters, and the files among them are the rule's inputs.

    study = Study.read("config.yaml")
    drawable(study)                          # the figures that this study can draw
    FIGURES["fig4"].parameters(study)        # the parameters of figures/fig4.ipynb
    inputs(study, "fig4")                    # the files among them

The functions at the end list the study's tables.
To add a figure, add an entry here, a target in rules/figures.smk, a notebook in figures/ and a caption in report/captions.rst.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from . import open_choices
from .errors import InputError
from .storage import claim_entries
from .study import OWN_RULES, SETTINGS_OF, Study

MAIN = ("figure_3", "figure_4", "figure_5", "figure_6")  # the analyses of the main figures


class File(str):
    """A path among a notebook's parameters. The figure reads it, so it becomes an input of the rule."""


@dataclass(frozen=True)
class Figure:
    """One figure: what it needs from a study, and what it writes.

    label: its name in the report. parameters: study -> the notebook's parameters. analyses: the study must have at least one of
    them. writes: tables written beside the pdf and the png, named as the notebook's parameters. available: anything else that the
    study must have; otherwise: the end of the message if it does not.
    """

    label: str
    parameters: Callable[[Study], dict]
    analyses: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    available: Callable[[Study], object] = lambda study: True
    otherwise: str = ""

    @property
    def category(self) -> str:
        """The figure's section in the report."""
        return "Figures" if self.label.isdigit() else "Appendix"

    def missing(self, study: Study) -> str:
        """Why a study cannot draw this figure; empty if it can."""
        if self.analyses and not set(self.analyses) & set(study.analyses):
            named = ", ".join(f"knockout/cuts/{name}" for name in self.analyses)
            if len(self.analyses) == 1:
                return f"config.yaml: {named} names no dataset of the study {study.name}"
            return f"config.yaml: none of {named} names a dataset of the study {study.name}"
        return "" if self.available(study) else f"config.yaml: the study {study.name} {self.otherwise}"


def published(study: Study, name: str) -> File:
    """A table of the paper's own numbers."""
    return File(study.own(f"resources/published/{name}.csv"))


def drawn(study: Study, path: str) -> File:
    """A file that figures read: below the study's results, or below figures/shipped with `tables: shipped`."""
    return File(f"{study.paths['drawn']}/{path}")


def table(study: Study, name: str) -> File:
    return drawn(study, f"tables/{name}.parquet")


def knockouts(study: Study, analysis: str) -> File | str:
    """The knockout table of an analysis, or an empty text if the study does not have the analysis."""
    return table(study, f"knockout_{analysis}") if analysis in study.analyses else ""


def asked(study: Study) -> dict:
    """How the study asks the benchmarks that numbers are published about: dataset -> its prompt's name, and fps by model.

    These benchmarks are those of resources/published/prompts.yaml. A prompt has its name there, or is called "config.yaml's" if
    no entry has the same texts.
    """
    path = study.folder / study.own("resources/published/prompts.yaml")
    known, found = yaml.safe_load(path.read_text(encoding="utf-8")), {}
    for dataset in filter(known.__contains__, study.datasets):
        ours = _prompt(study.dataset(dataset))
        same = [name for name, texts in known[dataset].items() if _prompt(texts) == ours]
        found[dataset] = {"prompt": same[0] if same else "config.yaml's", "fps": {}}
        for model in study.models:
            sampling = study.config["sampling"][study.model(model)["sampling"]]
            found[dataset]["fps"][model] = sampling["fps"] if "fps" in sampling else 1 / sampling["interval"]
    return found


def _prompt(texts: dict) -> tuple:
    """The texts that make a prompt; two prompts are the same if these are."""
    return texts.get("instruction", ""), texts.get("ending"), texts.get("option_format", "{label}. {text}")


def drawing(study: Study) -> dict:
    """Parameters of every figure with intervals."""
    return {"draws": study.config["figures"]["bootstrap"], "seed": study.config["seed"]}


def least(study: Study) -> dict:
    """The fewest questions of a curve with a band."""
    return {"least": study.config["figures"]["least"]}


def answers(study: Study, *roles: str) -> list[File]:
    """The tables of answers for the study's "video" or "items" datasets. The shipped table holds all datasets."""
    if study.shipped:
        return [table(study, "evaluate")]
    return [table(study, f"evaluate/{dataset}") for dataset in dict.fromkeys(study.chosen[role] for role in roles)]


def reading(study: Study, *roles: str) -> dict:
    """The fields of effects.Reading: settings under `figures` in config.yaml, and the tables to read besides the knockouts."""
    settings = study.config["figures"]
    found = {"evaluated": answers(study, *roles), "published": published(study, "curves"), **drawing(study)}
    found |= {"metric": settings.get("metric", "probability"), **least(study)}
    if told := asked(study):
        found["asked"] = told
    if settings.get("confident", False) is not False:
        found |= {"confident": settings["confident"], "reliance": table(study, "reliance")}
    return found


def routes(analysis: str, role: str) -> Callable[[Study], dict]:
    """Parameters of a figure that shows all models' knockouts in the study's dataset for a role."""
    return lambda study: {
        "table": knockouts(study, analysis),
        "models": study.windows,
        "dataset": study.chosen[role],
        "routes": study.routes(analysis),
        "reading": reading(study, role),
    }


def of_items(analysis: str) -> Callable[[Study], dict]:
    """The same for the study's items, with their questions: the parts of each stand in an order of their own."""
    return lambda study: {**routes(analysis, "items")(study), "questions": drawn(study, f"questions/{study.items}.jsonl")}


def of_video(name: str) -> Callable[[Study], dict]:
    """Parameters of a figure that shows one table for all models, in the study's video dataset."""
    return lambda study: {"table": table(study, name), "models": study.windows, "dataset": study.video, **drawing(study)}


def free_answers(study: Study) -> dict:
    """Parameters of app_free: the routes of the analysis `free`, in the first dataset in which it cuts."""
    dataset = study.cut_in("free")[0]
    evaluated = answers(study) or [table(study, f"evaluate/{dataset}")]
    shown = {"table": knockouts(study, "free"), "models": study.windows, "dataset": dataset}
    return {**shown, "routes": study.routes("free"), "reading": {**reading(study), "evaluated": evaluated}}


def widths(study: Study) -> dict:
    return {**routes("windows", "video")(study), "models": study.models}


def cumulative(study: Study) -> dict:
    return {**of_video("knockout_cumulative")(study), "routes": study.routes("cumulative"), **least(study)}


def orders(study: Study) -> dict:
    paths = {"items_table": knockouts(study, "order_items"), "clips_table": knockouts(study, "order_video")}
    routes = {"items": study.routes("order_items"), "clips": study.routes("order_video")}
    sides = {"items": study.items, "clips": study.video, "routes": routes}
    return {"models": study.windows, **paths, **sides, **drawing(study)}


def baseline(study: Study) -> dict:
    dropped = [drawn(study, f"questions/{dataset}.dropped.tsv") for dataset in study.datasets]
    known = published(study, "accuracy")
    told = {"published": known, "asked": asked(study)}
    return {"table": table(study, "evaluate"), "dropped": dropped, **told, **drawing(study)}


def reliance(study: Study) -> dict:
    paths = {"table": table(study, "reliance"), "evaluated": table(study, "evaluate")}
    paths |= {"routes_table": knockouts(study, "figure_4"), "graded_table": knockouts(study, "graded")}
    return {**paths, "models": study.windows, "clips": study.video, **drawing(study)}


def discards(name: str) -> Callable[[Study], dict]:
    """Parameters of the figures about discards."""
    return lambda study: {
        "table": table(study, name),
        "models": study.models,
        "datasets": {setting: dataset for setting, dataset in study.settings.items() if dataset in study.swept},
        "margin": study.config["pruning"]["margin"],
        **drawing(study),
    }


def maps(study: Study) -> dict:
    """Parameters of Figures 1 and 2. layers: the layers to draw, for models that name `map_layers`."""
    layers = {name: study.model(name)["map_layers"] for name in study.models if "map_layers" in study.model(name)}
    return {**of_video("attention")(study), "layers": layers}


def attention_change(study: Study) -> dict:
    shown = {"table": table(study, "attention"), "models": study.windows, "dataset": study.video}
    return shown | study.config["attention"]["change"]


def probabilities(study: Study) -> dict:
    shown = {"table": table(study, "attention"), "models": study.windows, "datasets": study.attended}
    return {**shown, **drawing(study), **least(study)}


def main_routes(study: Study) -> dict[str, list[str]]:
    """Analysis of a main figure -> the routes that the figure draws."""
    return {name: study.routes(name) for name in MAIN}


def overview(study: Study) -> dict:
    """Parameters of the figures that repeat the main figures by task or by model."""
    return {
        "attention": table(study, "attention"),
        "models": study.windows,
        "tables": {name: knockouts(study, name) for name in MAIN},
        "routes": main_routes(study),
        "datasets": {"video": study.video, "items": study.items},
        "reading": reading(study, "video", "items"),
    }


def by_task(study: Study) -> dict:
    return {**overview(study), "model": study.main_model}


def world(study: Study) -> dict:
    """Parameters of app_world: questions and frames of the miniature, in the main model's sampling."""
    sampling, found = study.model(study.main_model)["sampling"], {}
    for name, dataset, shards in (("video", "mini-video", "shards"), ("item", "mini-items", "item_shards")):
        found[f"{name}_questions"] = drawn(study, f"questions/{dataset}.jsonl")
        found[f"{name}_frames"] = drawn(study, f"frames/{dataset}/{sampling}/0.safetensors")
        found[shards] = study.dataset(dataset)["shards"]
    return found


def sensitivity(study: Study) -> dict:
    """Parameters of app_sensitivity. choices: choice -> its entry in config.yaml; threshold: % from which a peak has a place."""
    routes, choices = study.config["sensitivity"]["routes"], open_choices.choices(study)
    return {
        "table": table(study, "sensitivity"),
        "models": study.models,
        "choices": choices,
        "routes": {dataset: routes[study.setting(dataset)] for dataset in open_choices.asked(study)},
        "threshold": study.config["pruning"]["threshold"],
        **drawing(study),
    }


def heads(study: Study) -> dict:
    """Parameters of app_heads. together: the table of cuts of the strongest heads."""
    tables = {"table": knockouts(study, "heads"), "together": knockouts(study, "head_sets")}
    shown = {"models": study.models, "dataset": study.video, "routes": study.routes("heads")}
    return {**tables, **shown, **drawing(study)}


def patched(study: Study) -> dict:
    """Parameters of app_resample. routes: dataset -> patched routes; cuts: the tables that may hold cuts of these, by dataset."""
    routes = {dataset: study.config["resample"]["routes"][study.setting(dataset)] for dataset in study.patched}
    cuts = {
        dataset: [knockouts(study, name) for name in MAIN if dataset in study.cut_in(name) and _cut(study, name, routes[dataset])]
        for dataset in study.patched
    }
    return {"table": table(study, "resample"), "cuts": cuts, "models": study.windows, "routes": routes, **drawing(study)}


def _cut(study: Study, analysis: str, routes: list[str]) -> bool:
    """Whether an analysis cuts any of the routes."""
    return not set(routes).isdisjoint(study.routes(analysis))


def conflict(study: Study) -> dict:
    """Parameters of app_conflict. graded: the dataset whose tasks a dial tells apart, if the study asks it."""
    graded = "mini-graded" if "mini-graded" in study.mixed else ""
    least = study.config["figures"]["least"]
    return {"table": table(study, "conflict"), "models": study.models, "graded": graded, "least": least, **drawing(study)}


def where(study: Study) -> dict:
    """Parameters of app_where. frames: dataset -> the decoded shard of the questions shown; none if frames are not kept."""
    sampling, frames = study.model(study.main_model)["sampling"], {}
    if study.keeps_frames:
        frames = {d: drawn(study, f"frames/{d}/{sampling}/0.safetensors") for d in study.located}
    questions = {d: drawn(study, f"questions/{d}.jsonl") for d in study.located}
    paths = {"table": table(study, "where"), "questions": questions, "frames": frames}
    shown = {"models": study.windows, "shards": {d: study.dataset(d)["shards"] for d in study.located}}
    return {**paths, **shown, "targets": study.config["where"]["targets"], **least(study), **drawing(study)}


def explorer_maps(study: Study) -> dict[str, list[str]]:
    """The table of the maps that the explorer shows, and the decoded shards of their clips; none until app_where is asked for."""
    path = study.table("where.parquet")
    if not LOCATED["available"](study) or "app_where" not in drawn_by_default(study) and not (study.folder / path).is_file():
        return {"maps": [], "frames": []}
    return {"maps": [path], "frames": list(where(study)["frames"].values())}


def sinks(study: Study) -> dict:
    """Parameters of app_sinks. attention: the table that counts sinks."""
    paths = {"table": knockouts(study, "sinks"), "attention": table(study, "attention")}
    shown = {"models": study.windows, "dataset": study.cut_in("sinks")[0], "routes": study.routes("sinks")}
    return {**paths, **shown, "reading": reading(study, "video")}


def training(study: Study) -> dict:
    """Parameters of app_training: the training logs that lie beside the tiny models' checkpoints."""
    logs = {model: File(f"{study.checkpoint_folder(model)}/training.jsonl") for model in study.models}
    return {"logs": {model: log for model, log in logs.items() if (study.folder / log).is_file()}}


VIDEO = {"available": lambda study: study.attends_video, "otherwise": "reads no attention in an audio-visual dataset of its own"}
ATTENTION = {"available": lambda study: study.attended, "otherwise": "reads attention in none of its datasets"}
SWEPT = {"available": lambda study: study.swept, "otherwise": "names no discards, so it discards no tokens"}
OPEN = {
    "available": lambda study: study.kept_open,
    "otherwise": "has no dataset that sufficiency/datasets names and sufficiency/analyses cut in",
}
LOGS = {"available": lambda study: training(study)["logs"], "otherwise": "has no model with a training log"}
WORLD = {
    "available": lambda study: {"mini-video", "mini-items"} <= set(study.datasets),
    "otherwise": "needs both mini-video and mini-items",
}
CHOICES = {
    "available": lambda study: open_choices.parts(study) and not study.shipped,
    "otherwise": "has no open choice (sensitivity/choices), or tables is 'shipped', which holds no table of them",
}
PATCHED = {
    "available": lambda study: study.patched and (not study.shipped or (study.folder / table(study, "resample")).is_file()),
    "otherwise": "patches no dataset (resample), or tables is 'shipped', which holds no table of patches",
}
HEADS = {
    "available": lambda study: all(study.video in study.cut_in(name) for name in ("heads", "head_sets")),
    "otherwise": "does not cut single heads (knockout/cuts/head_sets)",
}
MIXED = {
    "available": lambda study: study.mixed,
    "otherwise": "mixes pictures and sounds in none of its datasets (conflict/datasets)",
}
LOCATED = {
    "available": lambda study: study.located and not study.shipped,
    "otherwise": "cuts times and places in none of its datasets (where/datasets), or has tables: 'shipped', which lack windows",
}
REPLIES = {
    "available": lambda study: not study.shipped or (study.folder / knockouts(study, "free")).is_file(),
    "otherwise": "has tables: 'shipped', which holds no knockouts of free answers",
}
CSV = ("csv",)

FIGURES = {
    "fig1": Figure("1", maps, writes=CSV, **VIDEO),
    "fig2": Figure("2", maps, writes=CSV, **VIDEO),
    "fig3": Figure("3", routes("figure_3", "video"), ("figure_3",)),
    "fig4": Figure("4", routes("figure_4", "video"), ("figure_4",)),
    "fig5": Figure("5", of_items("figure_5"), ("figure_5",)),
    "fig6": Figure("6", of_items("figure_6"), ("figure_6",)),
    "app_window": Figure("window", widths, ("windows",)),
    "app_order": Figure("order", orders, ("order_video", "order_items"), CSV),
    "app_baseline": Figure("baseline", baseline, writes=("csv", "drops")),
    "app_reliance": Figure("reliance", reliance, ("figure_4", "graded"), ("csv", "areas")),
    "app_answer_probability": Figure("answer probability", probabilities, writes=CSV, **ATTENTION),
    "app_attention_change": Figure("attention change", attention_change, writes=CSV, **VIDEO),
    "app_options": Figure("options", routes("options", "video"), ("options",)),
    "app_cumulative": Figure("cumulative", cumulative, ("cumulative",), CSV),
    "app_sufficiency": Figure("sufficiency", of_video("sufficiency"), writes=CSV, **OPEN),
    "app_failed": Figure("failed", routes("failed", "video"), ("failed",)),
    "app_free": Figure("free answers", free_answers, ("free",), **REPLIES),
    "app_tasks": Figure("tasks", by_task, MAIN, **ATTENTION),
    "app_models": Figure("models", overview, MAIN, CSV, **ATTENTION),
    "app_discard_layers": Figure("discard layers", discards("discard_sweep"), writes=CSV, **SWEPT),
    "app_pareto": Figure("pareto", discards("pruning"), writes=CSV, **SWEPT),
    "app_sensitivity": Figure("sensitivity", sensitivity, writes=CSV, **CHOICES),
    "app_resample": Figure("resample", patched, writes=CSV, **PATCHED),
    "app_heads": Figure("heads", heads, ("heads", "head_sets"), CSV, **HEADS),
    "app_conflict": Figure("conflict", conflict, writes=CSV, **MIXED),
    "app_where": Figure("where", where, writes=CSV, **LOCATED),
    "app_sinks": Figure("sinks", sinks, ("sinks",), CSV, **VIDEO),
    "app_training": Figure("training", training, **LOGS),
    "app_world": Figure("world", world, **WORLD),
}


def named(*writes: str) -> list[str]:
    """The figures that write exactly these tables."""
    return [name for name, figure in FIGURES.items() if figure.writes == writes]


def drawable(study: Study) -> list[str]:
    """The figures that a study can draw."""
    return [name for name, figure in FIGURES.items() if not figure.missing(study)]


def drawn_by_default(study: Study) -> list[str]:
    """The figures of the target `figures`: those that a study can draw, without those that it draws only on request.

    Raises InputError for an unknown name.
    """
    on_request = study.chosen.get("on_request", [])
    if unknown := [name for name in on_request if name not in FIGURES]:
        raise InputError(f"config.yaml: studies/{study.name}/on_request names {unknown[0]!r}; known: {', '.join(FIGURES)}")
    return [name for name in drawable(study) if name not in on_request]


def analyses_by_default(study: Study) -> list[str]:
    """The study's analyses, without those that only figures on request read."""
    on_request = [FIGURES[name] for name in study.chosen.get("on_request", []) if name in FIGURES]
    read = {name for figure in FIGURES.values() if figure not in on_request for name in figure.analyses}
    left_out = {name for figure in on_request for name in figure.analyses} - read
    return [name for name in study.analyses if name not in left_out]


def parameters(study: Study, name: str) -> dict:
    """The parameters of a figure's notebook. Raises InputError if the study cannot draw the figure."""
    if why := FIGURES[name].missing(study):
        raise InputError(why)
    return FIGURES[name].parameters(study)


def inputs(study: Study, name: str) -> list[str]:
    """The files that a figure reads, which are among its parameters. Raises InputError if the study cannot draw the figure."""
    return list(dict.fromkeys(map(str, _files(parameters(study, name)))))


def _files(value) -> list[File]:
    if isinstance(value, File):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [file for part in parts for file in _files(part)]


TABLES = {  # target -> what the study must have, and the end of the message if it does not
    "tab1": (VIDEO["available"], VIDEO["otherwise"]),
    "tab2": (lambda study: study.roles.get(study.video) == "video", "has no audio-visual dataset (setting av_video)"),
    "tab3": (lambda study: study.roles.get(study.items) == "items", "has no dataset of interleaved items (setting items)"),
    "tab4": (SWEPT["available"], SWEPT["otherwise"]),
    "claims": (lambda study: "claims" in study.chosen, "names no file of claims"),
    "explorer": (lambda study: study.analyses, "cuts no route in any of its datasets (knockout/cuts)"),
}


def able(study: Study, target: str) -> list[str]:
    """No files; raises InputError with the reason if the study cannot make a target of `TABLES`."""
    available, otherwise = TABLES[target]
    if not available(study):
        raise InputError(f"config.yaml: the study {study.name} {otherwise}")
    return []


def table_4(study: Study, kind: str) -> list[str]:
    """Table 4's files of one kind, "csv" or "tex": one file for each setting in which tokens are discarded."""
    tried = [study.setting(name) for name in study.tried]
    return [study.table(f"tab4_{block}.{kind}") for block, setting in SETTINGS_OF.items() if setting in tried]


def tables(study: Study) -> list[str]:
    """Every table that the study computes, and an html page of each csv for the report. Empty with `tables: shipped`."""
    if study.shipped:
        return []
    names = [name for name in ("tab1", "tab2", "tab3") if TABLES[name][0](study)]
    found = [study.table(f"{name}.{kind}") for name in names for kind in ("csv", "tex")]
    if study.swept:
        found += [*table_4(study, "csv"), *table_4(study, "tex")]
        found += [study.table("pruning.parquet"), study.table("discard_sweep.parquet")]
    found += [study.table("evaluate.parquet"), study.table("reliance.parquet")]
    found += study.knockout_tables(*analyses_by_default(study))
    found += [study.table("attention.parquet")] if study.attended else []
    found += [study.table("sufficiency.parquet")] if study.kept_open else []
    found += [study.table(f"{part}.parquet") for part in OWN_RULES if f"app_{part}" in drawn_by_default(study)]
    found.append(study.table("sampled_media.csv"))
    return found + [path.replace(".csv", ".html") for path in found if path.endswith(".csv")]


def table_title(name: str) -> str:
    """The heading of a table's page: "tab4_video" -> "Table 4: audio-visual video"."""
    number, _, block = name.removeprefix("tab").partition("_")
    of = {"video": ": audio-visual video", "items": ": interleaved items"}
    if name in ("claims", "sampled_media"):
        return name.replace("_", " ").capitalize()
    return f"Table {number}{of.get(block, '')}"


OF_TABLE = ("cell", "specimen", "coherent", "clips")  # measures of the table that the claim names
OF_ANSWERS = ("evaluate.parquet", "reliance.parquet")
SUMMED = {"tab1": "attention.parquet", **dict.fromkeys(("tab4_video", "tab4_items"), "pruning.parquet")}  # what tables sum up
DECIDING = {  # measure of a claim -> the tables that decide it; other measures read the knockouts of the claim's analysis
    **dict.fromkeys(("accuracy", "accuracy_change", "same_content", "letters"), OF_ANSWERS),
    "masking": ("tab1.csv",),
    **dict.fromkeys(("discarding", "discarded_accuracy", "discarded", "saving"), ("pruning.parquet",)),
    "sweep": ("discard_sweep.parquet",),
    "sufficiency": ("sufficiency.parquet",),
    "cumulative": ("knockout_cumulative.parquet",),
    **dict.fromkeys(("attention", "sinks", "readout", "flow"), ("attention.parquet",)),
    "patched": ("resample.parquet",),
    **dict.fromkeys(("winner", "known"), ("conflict.parquet",)),
    **dict.fromkeys(("head", "head_layer"), ("knockout_heads.parquet",)),
    "heads_together": ("knockout_head_sets.parquet",),
    **dict.fromkeys(("found_at", "around_event"), ("where.parquet",)),
    "rank_correlation": (*OF_ANSWERS, "knockout_figure_4.parquet", "knockout_graded.parquet"),
}


def decided_by(claim: dict) -> set[str]:
    """File names of the tables that decide a claim, an entry of a file of claims (see `results/claims.py`)."""
    found = set()
    for part in (claim, {**claim, **claim.get("than", {})}, {**claim, **claim.get("other", {})}):
        for measure in part.get("checks") or [part.get("measure")]:
            analysis = part.get("analysis", "figure_4")
            cuts = (f"{analysis if analysis in OWN_RULES else f'knockout_{analysis}'}.parquet",)
            named = f"{part.get('table')}.{'csv' if str(part.get('table')).startswith('tab') else 'parquet'}"
            found.update((named,) if measure in OF_TABLE else DECIDING.get(measure, cuts))
            found.update(["evaluate.parquet"] if measure in ("same_run", "coherent") else [])
            found.update([SUMMED[part["table"]]] if measure == "coherent" and part["table"] in SUMMED else [])
    return found


def claimed_tables(study: Study) -> list[str]:
    """The tables that decide the study's claims, and those of the main figures. Without those that the study lacks."""
    wanted = {*(f"knockout_{name}.parquet" for name in MAIN), "evaluate.parquet", "reliance.parquet"}
    for path in study.claims:
        wanted.update(name for entry in claim_entries.entries(path) for name in decided_by(entry))
    return [path for path in tables(study) if path.rsplit("/")[-1] in wanted]


def specimens(study: Study) -> list[str]:
    """The files of cells that the study's claims name (measure `specimen`)."""
    named = [(path, entry) for path in study.claims for entry in claim_entries.entries(path) if "specimen" in entry]
    return list(dict.fromkeys(str(Path(path).parent / entry["specimen"]) for path, entry in named))


def unasked_claims(study: Study) -> list[str]:
    """The texts of claims about tables that the study makes only on request, and that nobody has asked for yet."""
    rare = study.knockout_tables(*(name for name in study.analyses if name not in analyses_by_default(study)))
    rare += [study.table(f"{part}.parquet") for part in OWN_RULES if f"app_{part}" in study.chosen.get("on_request", [])]
    absent = {path.rsplit("/")[-1] for path in rare if not (study.folder / path).is_file()}
    entries = [entry for path in study.claims for entry in claim_entries.entries(path)]
    return [entry["claim"] for entry in entries if decided_by(entry) & absent]


def claims(study: Study) -> list[str]:
    """The files of verdicts; empty if the study names no claims, or with `tables: shipped`."""
    return [study.table(f"claims.{kind}") for kind in ("csv", "html")] if "claims" in study.chosen and not study.shipped else []
