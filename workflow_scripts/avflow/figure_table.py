"""What each figure needs: one entry in FIGURES says what its notebook is told, and so which files it reads; and all tables.

    study = Study.read("config.yaml")
    drawable(study)                          # the figures that its datasets and models have
    FIGURES["fig4"].parameters(study)        # what figures/fig4.ipynb is told
    inputs(study, "fig4")                    # the files among them

To add a figure: an entry here, a target in rules/figures.smk, a notebook in figures/, a caption in report/captions.rst.
"""

from collections.abc import Callable
from dataclasses import dataclass

from .errors import InputError
from .study import SETTINGS_OF, Study

MAIN = ("figure_3", "figure_4", "figure_5", "figure_6")  # the analyses of the main figures
PUBLISHED = "resources/published"  # the paper's own numbers


class File(str):
    """A path among a notebook's parameters: the figure reads it, so its rule waits for it."""


@dataclass(frozen=True)
class Figure:
    """label: its name in the report. parameters: of its notebook, from a study. Of `analyses` a study must have one.

    writes: tables beside the pdf and the png, by the names of the notebook's parameters. available and otherwise: what else a
    study must have, and what it is told otherwise.
    """

    label: str
    parameters: Callable[[Study], dict]
    analyses: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    available: Callable[[Study], object] = lambda study: True
    otherwise: str = ""

    @property
    def category(self) -> str:
        """The section of the report that it stands in."""
        return "Figures" if self.label.isdigit() else "Appendix"

    def missing(self, study: Study) -> str:
        """Why a study has not this figure; empty where it has."""
        if self.analyses and not set(self.analyses) & set(study.analyses):
            named = ", ".join(f"knockout/cuts/{name}" for name in self.analyses)
            if len(self.analyses) == 1:
                return f"config.yaml: {named} is for no dataset of the study {study.name}"
            return f"config.yaml: none of {named} is for a dataset of the study {study.name}"
        return "" if self.available(study) else f"config.yaml: the study {study.name} {self.otherwise}"


def drawn(study: Study, path: str) -> File:
    """A file below the study's results as figures read it: below the shipped ones, where these are drawn."""
    return File(f"{study.paths['drawn']}/{path}")


def table(study: Study, name: str) -> File:
    return drawn(study, f"tables/{name}.parquet")


def knockouts(study: Study, analysis: str) -> File | str:
    """The table of an analysis, empty where the study has none."""
    return table(study, f"knockout_{analysis}") if analysis in study.analyses else ""


def drawing(study: Study) -> dict:
    """What every figure with intervals takes."""
    return {"draws": study.config["figures"]["bootstrap"], "seed": study.config["seed"]}


def answers(study: Study, *roles: str) -> list[File]:
    """The tables of answers in the study's datasets for some roles, "video" or "items"; shipped ones are all in one."""
    if study.shipped:
        return [table(study, "evaluate")]
    return [table(study, f"evaluate/{dataset}") for dataset in dict.fromkeys(study.chosen[role] for role in roles)]


def reading(study: Study, *roles: str) -> dict:
    """How figures read knockouts, for effects.Reading: `figures` of config.yaml, and the tables that stand beside."""
    settings = study.config["figures"]
    found = {"evaluated": answers(study, *roles), "published": File(f"{PUBLISHED}/curves.csv"), **drawing(study)}
    found["metric"] = settings.get("metric", "probability")
    if settings.get("confident", False) is not False:
        found |= {"confident": settings["confident"], "reliance": table(study, "reliance")}
    return found


def routes(analysis: str, role: str) -> Callable[[Study], dict]:
    """Parameters of a figure of all models' knockouts in the study's dataset for a role."""
    return lambda study: {
        "table": knockouts(study, analysis),
        "models": study.windows,
        "dataset": study.chosen[role],
        "routes": study.drawn_routes(analysis),
        "reading": reading(study, role),
    }


def of_video(name: str) -> Callable[[Study], dict]:
    """Parameters of a figure of all models' answers in a table, in the study's video."""
    return lambda study: {"table": table(study, name), "models": study.windows, "dataset": study.video, **drawing(study)}


def widths(study: Study) -> dict:
    return {**routes("windows", "video")(study), "models": study.models}


def cumulative(study: Study) -> dict:
    return {**of_video("knockout_cumulative")(study), "routes": study.drawn_routes("cumulative")}


def orders(study: Study) -> dict:
    paths = {"items_table": knockouts(study, "order_items"), "clips_table": knockouts(study, "order_video")}
    routes = {"items": study.drawn_routes("order_items"), "clips": study.drawn_routes("order_video")}
    sides = {"items": study.items, "clips": study.video, "routes": routes}
    return {"models": study.windows, **paths, **sides, **drawing(study)}


def baseline(study: Study) -> dict:
    dropped = [drawn(study, f"questions/{dataset}.dropped.tsv") for dataset in study.datasets]
    published = File(f"{PUBLISHED}/accuracy.csv")
    return {"table": table(study, "evaluate"), "dropped": dropped, "published": published, **drawing(study)}


def reliance(study: Study) -> dict:
    paths = {"table": table(study, "reliance"), "evaluated": table(study, "evaluate")}
    paths |= {"routes_table": knockouts(study, "figure_4"), "graded_table": knockouts(study, "graded")}
    return {**paths, "models": study.windows, "clips": study.video, **drawing(study)}


def discards(name: str) -> Callable[[Study], dict]:
    """Parameters of the figures of discards."""
    return lambda study: {
        "table": table(study, name),
        "models": study.models,
        "datasets": {setting: dataset for setting, dataset in study.settings.items() if dataset in study.swept},
        "margin": study.config["pruning"]["margin"],
        **drawing(study),
    }


def maps(study: Study) -> dict:
    """Of attention in the study's video, with the layers that are drawn where a model names them."""
    layers = {name: study.model(name)["map_layers"] for name in study.models if "map_layers" in study.model(name)}
    return {**of_video("attention")(study), "layers": layers}


def attention_change(study: Study) -> dict:
    shown = {"table": table(study, "attention"), "models": study.windows, "dataset": study.video}
    return shown | study.config["attention"]["change"]


def probabilities(study: Study) -> dict:
    return {"table": table(study, "attention"), "models": study.windows, "datasets": study.attended, **drawing(study)}


def main_routes(study: Study) -> dict[str, list[str]]:
    """Main figure's analysis -> the routes that it draws."""
    return {name: study.drawn_routes(name) for name in MAIN}


def overview(study: Study) -> dict:
    """Of the figures that repeat the main ones, by model."""
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
    """Of a clip and a matching question of the miniature, in the main model's sampling."""
    sampling, found = study.model(study.main_model)["sampling"], {}
    for name, dataset, shards in (("video", "mini-video", "shards"), ("item", "mini-items", "item_shards")):
        found[f"{name}_questions"] = drawn(study, f"questions/{dataset}.jsonl")
        found[f"{name}_frames"] = drawn(study, f"frames/{dataset}/{sampling}/0.safetensors")
        found[shards] = study.dataset(dataset)["shards"]
    return found


def training(study: Study) -> dict:
    """Of the logs that lie beside the checkpoints of tiny models."""
    logs = {model: File(f"{study.checkpoint_folder(model)}/training.jsonl") for model in study.models}
    return {"logs": {model: log for model, log in logs.items() if (study.folder / log).is_file()}}


VIDEO = {"available": lambda study: study.attends_video, "otherwise": "reads no attention in audio-visual video of its own"}
ATTENTION = {"available": lambda study: study.attended, "otherwise": "reads attention in none of its datasets"}
SWEPT = {"available": lambda study: study.swept, "otherwise": "names no discards, so no tokens are discarded in it"}
OPEN = {
    "available": lambda study: study.kept_open,
    "otherwise": "has no dataset of sufficiency/datasets in which sufficiency/analyses cut",
}
LOGS = {"available": lambda study: training(study)["logs"], "otherwise": "has no model with a log of its training"}
WORLD = {
    "available": lambda study: {"mini-video", "mini-items"} <= set(study.datasets),
    "otherwise": "has not both mini-video and mini-items",
}
CSV = ("csv",)

FIGURES = {
    "fig1": Figure("1", maps, writes=CSV, **VIDEO),
    "fig2": Figure("2", maps, writes=CSV, **VIDEO),
    "fig3": Figure("3", routes("figure_3", "video"), ("figure_3",)),
    "fig4": Figure("4", routes("figure_4", "video"), ("figure_4",)),
    "fig5": Figure("5", routes("figure_5", "items"), ("figure_5",)),
    "fig6": Figure("6", routes("figure_6", "items"), ("figure_6",)),
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
    "app_tasks": Figure("tasks", by_task, MAIN, **ATTENTION),
    "app_models": Figure("models", overview, MAIN, CSV, **ATTENTION),
    "app_discard_layers": Figure("discard layers", discards("discard_sweep"), writes=CSV, **SWEPT),
    "app_pareto": Figure("pareto", discards("pruning"), writes=CSV, **SWEPT),
    "app_training": Figure("training", training, **LOGS),
    "app_world": Figure("world", world, **WORLD),
}


def named(*writes: str) -> list[str]:
    """The figures that write just these tables."""
    return [name for name, figure in FIGURES.items() if figure.writes == writes]


def drawable(study: Study) -> list[str]:
    """The figures that the study's datasets and models have."""
    return [name for name, figure in FIGURES.items() if not figure.missing(study)]


def parameters(study: Study, name: str) -> dict:
    """What a figure's notebook is told. Raises InputError where the study has not that figure."""
    if why := FIGURES[name].missing(study):
        raise InputError(why)
    return FIGURES[name].parameters(study)


def inputs(study: Study, name: str) -> list[str]:
    """The files that a figure reads: those among its parameters. Raises InputError where the study has not that figure."""
    return list(dict.fromkeys(map(str, _files(parameters(study, name)))))


def _files(value) -> list[File]:
    if isinstance(value, File):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [file for part in parts for file in _files(part)]


def table_4(study: Study, kind: str) -> list[str]:
    """Table 4's files of one kind, "csv" or "tex": a block for each setting in which tokens are discarded."""
    tried = [study.setting(name) for name in study.tried]
    return [study.table(f"tab4_{block}.{kind}") for block, setting in SETTINGS_OF.items() if setting in tried]


def tables(study: Study) -> list[str]:
    """Every table that the study computes, those of the paper also as pages for the report; none where shipped ones are drawn."""
    if study.shipped:
        return []
    names = [*(["tab1"] if study.attends_video else []), "tab2", "tab3"]
    found = [study.table(f"{name}.{kind}") for name in names for kind in ("csv", "tex")]
    if study.swept:
        found += [*table_4(study, "csv"), *table_4(study, "tex")]
        found += [study.table("pruning.parquet"), study.table("discard_sweep.parquet")]
    found += [study.table("evaluate.parquet"), study.table("reliance.parquet"), *study.knockout_tables(*study.analyses)]
    found += [study.table("attention.parquet")] if study.attended else []
    found += [study.table("sufficiency.parquet")] if study.kept_open else []
    return found + [path.replace(".csv", ".html") for path in found if path.endswith(".csv")]


def table_title(name: str) -> str:
    """What stands above a table's page: of "tab4_video", "Table 4: audio-visual video"."""
    number, _, block = name.removeprefix("tab").partition("_")
    of = {"video": ": audio-visual video", "items": ": interleaved items"}
    return "Claims" if name == "claims" else f"Table {number}{of.get(block, '')}"


def claimed_tables(study: Study) -> list[str]:
    """The tables that claims are held against, as far as the study has them."""
    found = study.knockout_tables(*MAIN, "graded", "value_zero")
    found += [study.table("evaluate.parquet"), study.table("reliance.parquet")]
    found += [study.table("pruning.parquet")] if study.swept else []
    return [*found, study.table("tab1.csv")] if study.attends_video else found


def claims(study: Study) -> list[str]:
    """The verdicts, where the study makes claims."""
    return [study.table(f"claims.{kind}") for kind in ("csv", "html")] if "claims" in study.chosen and not study.shipped else []
