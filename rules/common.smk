"""config.yaml -> the lists and small functions that the rules share; the only file with functions."""

import functools
import json
import os
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

sys.path.insert(0, str(Path(workflow.basedir) / "workflow_scripts"))
from avflow.storage import provenance

validate(config, "../schemas/config.schema.yaml")


def check_names(where, names, known):
    """Stop with one line when config.yaml names something that it does not define."""
    for name in names:
        if name not in known:
            raise WorkflowError(
                f"config.yaml: {where} names {name!r}, which is not defined; defined: {', '.join(known)}"
            )


check_names("study", [config["study"]], config["studies"])
STUDY = config["studies"][config["study"]]
check_names(f"studies/{config['study']}/models", STUDY["models"], config["models"])
check_names(f"studies/{config['study']}/main_model", [STUDY["main_model"]], STUDY["models"])
check_names(f"studies/{config['study']}/datasets", STUDY["datasets"], config["datasets"])
check_names(f"studies/{config['study']}/video and items", [STUDY["video"], STUDY["items"]], STUDY["datasets"])
check_names("datasets (their setting)", [config["datasets"][d]["setting"] for d in STUDY["datasets"]], config["spans"])
DISCARDS = STUDY.get("discards", {})  # which part of Table 4 -> dataset -> patterns over its tasks
TRIED = list(dict.fromkeys(dataset for tasks in DISCARDS.values() for dataset in tasks))
check_names(f"studies/{config['study']}/discards", TRIED, config["datasets"])
check_names(
    "pruning/kinds (for discards)", [config["datasets"][d]["setting"] for d in TRIED], config["pruning"]["kinds"]
)
for name, analysis in config["knockout"]["cuts"].items():
    check_names(f"knockout/cuts/{name}/datasets", analysis["datasets"], ["video", "items", *config["datasets"]])
for name in ("attention", "sufficiency"):
    check_names(f"{name}/datasets", config[name]["datasets"], ["video", "items", *config["datasets"]])
check_names("sufficiency/analyses", config["sufficiency"]["analyses"], config["knockout"]["cuts"])
for name, model in config["models"].items():
    check_names(f"models/{name}/sampling", [model["sampling"]], config["sampling"])

for name in STUDY["models"]:
    folder = Path(config["models"][name].get("checkpoint", ""))
    if "repo" not in config["models"][name] and not (folder / "config.json").is_file():
        raise WorkflowError(
            f"config.yaml: models/{name}/checkpoint is {str(folder)!r}, which holds no checkpoint (config.json)"
        )

MODELS = sorted(STUDY["models"], key=lambda m: m != STUDY["main_model"])
DATASETS = STUDY["datasets"]
ROLES = {}  # dataset -> what it is to the study; with one kind of dataset alone, both keys name it
for role, setting in (("video", "av_video"), ("items", "items")):
    name = STUDY[role]
    if config["datasets"][name]["setting"] == setting:
        ROLES[name] = role
    elif STUDY["video"] != STUDY["items"]:
        raise WorkflowError(
            f"config.yaml: studies/{config['study']}/{role} is {name!r}, which is of another setting; name one of {setting}"
        )
SETTINGS = {config["datasets"][name]["setting"]: name for name in ROLES}  # setting -> the study's dataset of it
for name in TRIED:
    setting = config["datasets"][name]["setting"]
    if SETTINGS.get(setting) not in TRIED:
        raise WorkflowError(
            f"config.yaml: studies/{config['study']}/discards names {name!r}, of setting {setting}, but not the study's own"
            f" dataset of it ({SETTINGS.get(setting)}), from which layers are chosen; add that one"
        )
SWEPT = [name for name in SETTINGS.values() if name in TRIED]  # whose discards are swept over all layers
FIGURES = {  # figure -> the analyses that it shows, of which it needs one; a study without them has not that figure
    "fig3": ["figure_3"],
    "fig4": ["figure_4"],
    "fig5": ["figure_5"],
    "fig6": ["figure_6"],
    "app_window": ["windows"],
    "app_order": ["order_video", "order_items"],
    "app_reliance": ["figure_4", "graded"],
    "app_baseline": [],
    "app_answer_probability": [],
    "app_options": ["options"],
    "app_cumulative": ["cumulative"],
    "app_failed": ["failed"],
    "app_tasks": ["figure_3", "figure_4", "figure_5", "figure_6"],
    "app_models": ["figure_3", "figure_4", "figure_5", "figure_6"],
}
for name in ("app_discard_layers", "app_pareto"):
    if SWEPT:
        FIGURES[name] = []
OF_VIDEO = [
    "fig1",
    "fig2",
    "app_attention_change",
]  # of the attention in the study's audio-visual video, where it has any
HUB_MODELS = [name for name, model in config["models"].items() if "repo" in model]
HUB_DATASETS = [name for name, dataset in config["datasets"].items() if "repo" in dataset]


def budget(analysis, dataset):
    """What config.yaml asks to cut for an analysis in a dataset, or None; all questions where the metric is for all."""
    settings = config["knockout"]["cuts"][analysis]
    special = settings["datasets"].get(dataset, settings["datasets"].get(ROLES.get(dataset)))
    if special is None:
        return None
    wanted = {k: v for k, v in settings.items() if k != "datasets"} | special
    if config["figures"].get("metric") == "logit_difference" and wanted.get("questions") != "wrong":
        most = [wanted[k] for k in ("questions", "first") if isinstance(wanted.get(k), int)]
        wanted |= {"questions": "all", **({"first": min(most)} if most else {})}
    return wanted


def budgets(analysis, dataset):
    """The same as knockout.py takes it: random controls stand apart where they are for fewer questions than the routes."""
    wanted = budget(analysis, dataset)
    few = (wanted or {}).get("controls", {}).get("questions")
    if wanted is None or few is None:
        return [] if wanted is None else [wanted]
    controls = {kind: draws for kind, draws in wanted["controls"].items() if kind != "questions"}
    plain = {k: v for k, v in wanted.items() if k != "controls"}
    return [plain, plain | {"controls": controls, "first": min(few, plain.get("first", few))}]


def questions_of(part, dataset):
    """What config.yaml asks of a dataset for the part "attention" or "sufficiency", or None."""
    settings = config[part]["datasets"]
    return settings.get(dataset, settings.get(ROLES.get(dataset)))


ANALYSES = [name for name in config["knockout"]["cuts"] if any(budget(name, d) is not None for d in DATASETS)]
ATTENDED = [d for d in DATASETS if questions_of("attention", d) is not None]
KEPT_OPEN = [
    d
    for d in DATASETS
    if questions_of("sufficiency", d) is not None
    and any(budget(name, d) is not None for name in config["sufficiency"]["analyses"])
]


# Rules run the Python that runs Snakemake, also when its environment is not activated; under --sdm conda, conda's goes first.
# What they load from disk is never looked up on the hub: only the rules of downloads.smk lift HF_HUB_OFFLINE.
os.environ.update(
    PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]), HF_HUB_OFFLINE="1"
)


# Published: figures are drawn from the tables that are shipped, and nothing is computed.
PUBLISHED = config.get("tables") == "published"
if PUBLISHED and config["study"] != "miniature":
    raise WorkflowError(
        f"config.yaml: tables is 'published', which are the miniature's, but study is {config['study']!r}; leave one out"
    )
RESULTS = "results/published" if PUBLISHED else f"results/{config['study']}"
LOGS = RESULTS.replace("results/", "logs/")
DRAWN = "figures/published" if PUBLISHED else RESULTS  # the folder of what figures read
# Apart from results: deleting those loses no download.
DOWNLOADS = config.get("pathvars", {}).get("downloads", "downloads")


def check_writable(*folders):
    """Stop with one line, before any job starts, where results could not be written."""
    for folder in map(Path, folders):
        there = next(p for p in (folder, *folder.absolute().parents) if p.is_dir())
        if not os.access(there, os.W_OK):
            raise WorkflowError(
                f"{folder} cannot be written (read-only disk, or permissions of {there}); change that, or put it elsewhere: a"
                " symbolic link, or pathvars in a config file"
            )


onstart:
    check_writable(RESULTS, LOGS)


pathvars:
    results=RESULTS,
    downloads=DOWNLOADS,
    logs=LOGS,
    tables=f"{RESULTS}/tables",
    drawn=f"{DRAWN}/tables",


wildcard_constraints:
    model="|".join(MODELS),
    dataset="|".join(dict.fromkeys([*DATASETS, *TRIED])),
    sampling="|".join(config["sampling"]),
    shard=r"\d+",
    analysis="|".join(ANALYSES),


def relative(path):
    return str(path.relative_to(Path(workflow.basedir)))


@functools.cache
def code(script, *also):
    """All modules that a script imports, as inputs: a changed line reruns the rule, a new date does not."""
    path = Path(workflow.basedir) / "workflow_scripts" / f"{script}.py"
    return [relative(p) for p in provenance.sources(path, *also) if p != path]


def model_code(script):
    """The same for a script that loads a model: with the adapter of the model's family."""
    return lambda wildcards: code(script, f"models.{config['models'][wildcards.model]['family']}")


def notebook_code(notebook):
    """The modules that a notebook, and the script that runs it, import."""
    path = Path(workflow.basedir) / "figures" / f"{notebook}.ipynb"
    return sorted({*code("run_notebook"), *(relative(p) for p in provenance.notebook_sources(path))})


def checkpoint_folder(model):
    """Where a model's checkpoint lies: a folder of the user's, or its download."""
    return config["models"][model].get("checkpoint", f"{DOWNLOADS}/models/{model}")


def checkpoint(wildcards):
    """The files of a checkpoint folder; of a download its manifest, which appears when all of them are there and right."""
    folder = Path(checkpoint_folder(wildcards.model))
    if "repo" in config["models"][wildcards.model]:
        return str(folder / "manifest.json")
    return sorted(str(p) for p in folder.glob("*") if p.suffix in (".json", ".safetensors", ".jinja"))


def kept_features(file):
    """Features as an output: removed once they are used, where the study does not keep them."""
    return file if STUDY.get("keep_features", True) else temp(file)


def of_model(key):
    """A model's setting from config.yaml."""
    return lambda wildcards: config["models"][wildcards.model][key]


def as_options(settings):
    """{"max_frames": 768} -> "--max-frames 768"; lists and mappings as JSON, true as the option alone."""
    parts = []
    for name, value in settings.items():
        if value is not False:
            parts.append(f"--{name.replace('_', '-')}")
        if not isinstance(value, bool):
            parts.append(json.dumps(value, sort_keys=True) if isinstance(value, (list, dict)) else str(value))
    return shlex.join(parts)


def model_options(wildcards):
    """The options that say which model to load and how."""
    model = config["models"][wildcards.model]
    names = ("family", "checkpoint", "dtype", "system_prompt", "positions", "device")
    model = {**model, "checkpoint": checkpoint_folder(wildcards.model)} | ({} if model["gpus"] else {"device": "cpu"})
    return as_options({name: model[name] for name in names if name in model})


def pin_of(wildcards):
    """The pin of the model or dataset that a rule's only wildcard names. Stops with the remedy when there is none yet."""
    (name,) = wildcards
    path = f"resources/pins/{name}.json"
    if not Path(path).is_file():
        raise WorkflowError(f"{path} is not there; run: snakemake pin --config study={config['study']}")
    pinned, wanted = (
        json.loads(Path(path).read_text())["repo"],
        {**config["models"], **config["datasets"]}[name]["repo"],
    )
    if pinned != wanted:
        raise WorkflowError(
            f"{path} is of {pinned}, but config.yaml names {wanted}; run: snakemake pin --config study={config['study']}"
        )
    return path


def pin_targets(wildcards):
    """What the study takes from the hub, as JSON for pin.py."""
    wanted = {name: {"repo_type": "model", **config["models"][name]} for name in MODELS if name in HUB_MODELS}
    wanted |= {name: {"repo_type": "dataset", **config["datasets"][name]} for name in DATASETS if name in HUB_DATASETS}
    keys = ("repo", "repo_type", "revision", "files", "licence")
    return json.dumps({name: {k: v for k, v in of.items() if k in keys} for name, of in wanted.items()}, sort_keys=True)


def manifests(wildcards):
    """The manifests of everything that the study takes from the hub."""
    return [f"<downloads>/models/{name}/manifest.json" for name in MODELS if name in HUB_MODELS] + [
        f"<downloads>/datasets/{name}/manifest.json" for name in DATASETS if name in HUB_DATASETS
    ]


def sampling_options(wildcards):
    """The options that say which frames to take, and how large."""
    return as_options(config["sampling"][wildcards.sampling])


def spans(wildcards):
    """The unions of config.yaml for a dataset's setting, as JSON."""
    setting = config["datasets"][wildcards.dataset]["setting"]
    return json.dumps({setting: config["spans"][setting]}, sort_keys=True)


def cuts(wildcards):
    """The budgets of an analysis in a dataset, as JSON."""
    return json.dumps(budgets(wildcards.analysis, wildcards.dataset), sort_keys=True)


def knockout_shards(wildcards):
    """All shards of an analysis, of the study's models and of those of its datasets that the analysis is for."""
    pattern = "<results>/knockout/{model}/{dataset}/{analysis}/{shard}.parquet"
    among = [d for d in DATASETS if budget(wildcards.analysis, d) is not None]
    return shards(pattern, among, model=MODELS, analysis=wildcards.analysis)


def gather_options(wildcards):
    """A model may answer no question wrongly, so that there is nothing to cut."""
    wrong = any((budget(wildcards.analysis, d) or {}).get("questions") == "wrong" for d in DATASETS)
    return as_options({"may_be_empty": wrong})


def knockout_table(analysis):
    """The table of an analysis, as a figure's input. Stops where the analysis is for no dataset of the study."""

    def of(wildcards):
        if analysis not in ANALYSES:
            raise WorkflowError(
                f"config.yaml: knockout/cuts/{analysis} is for no dataset of the study {config['study']}"
            )
        return f"<drawn>/knockout_{analysis}.parquet"

    return of


def drawn(path):
    """A file below the study's results as figures read it: below the shipped ones instead, where these are drawn."""
    return f"{DRAWN}/{path}"


def drawn_tables(*analyses):
    """Those of the analyses' tables that the study has, as figures read them."""
    return [f"<drawn>/knockout_{name}.parquet" for name in analyses if name in ANALYSES]


def knockout_tables(*analyses):
    """Those of the analyses' tables that the study has."""
    return [f"<tables>/knockout_{name}.parquet" for name in analyses if name in ANALYSES]


def of_dataset(key):
    """A dataset's setting from config.yaml."""
    return lambda wildcards: config["datasets"][wildcards.dataset][key]


def of_type(kind):
    """A pattern for the datasets that one prepare rule is for; of nothing where there is none."""
    return "|".join(name for name, dataset in config["datasets"].items() if dataset["type"] == kind) or "(?!)"


def dataset_options(wildcards):
    """The options that say which of a benchmark's questions to take, and how they are asked."""
    dataset = config["datasets"][wildcards.dataset]
    renamed = {"questions": "per_task", "knockout_questions": "knockout"}
    left_out = (
        *(
            "type",
            "shards",
            "reliance_questions",
            "discard_questions",
            "timed_questions",
            "media_folder",
            "questions_file",
        ),
        *("repo", "revision", "licence", "files"),
        *(["tasks"] if dataset["type"] == "miniature" else []),
    )
    return as_options({renamed.get(key, key): value for key, value in dataset.items() if key not in left_out})


def reliance_choice(wildcards):
    """Which questions of a dataset are asked without a sense, and in how many orders."""
    first = config["datasets"][wildcards.dataset].get("reliance_questions")
    return as_options({"shuffles": config["reliance"]["shuffles"], **({"first": first} if first else {})})


def sweep_options(wildcards):
    """What is discarded after every layer, in how many questions."""
    kinds = {s: {name: of["tokens"] for name, of in kinds.items()} for s, kinds in config["pruning"]["kinds"].items()}
    return as_options({"discards": kinds, "random": config["pruning"]["random"], **config["pruning"]["sweep"]})


def swept_shards(wildcards):
    """All shards of a model's discards after every layer."""
    return shards("<results>/discard_sweep/{model}/{dataset}/{shard}.parquet", SWEPT, model=wildcards.model)


def table_4(kind):
    """Table 4's files of one kind, "csv" or "tex": a block for each setting in which tokens are discarded."""
    tried = [config["datasets"][name]["setting"] for name in TRIED]
    blocks = {"av_video": "video", "items": "items"}
    return [f"{RESULTS}/tables/tab4_{block}.{kind}" for setting, block in blocks.items() if setting in tried]


def table_4_options():
    """Which tasks stand in which part of Table 4, the margin and the intervals, and the files."""
    files = {Path(path).stem.removeprefix("tab4_"): path for path in table_4("csv")}
    options = {"parts": DISCARDS, "margin": config["pruning"]["margin"], **drawing(), **files}
    return f"{as_options(options)} {shlex.join(['--models', *MODELS])}"


def discard_tables():
    """The tables of discards, where the study has any."""
    if not SWEPT:
        return []
    return ["<tables>/pruning.parquet", "<tables>/discard_sweep.parquet", *table_4("csv"), *table_4("tex")]


def every_table():
    """The study's tables: those of the paper, and those of answers and knockouts."""
    found = [f"<tables>/{name}.{kind}" for name in ("tab2", "tab3") for kind in ("csv", "tex")]
    found += ["<tables>/tab1.csv", "<tables>/tab1.tex"] if "fig1" in drawable() else []
    found += [*discard_tables(), "<tables>/evaluate.parquet", "<tables>/reliance.parquet", *knockout_tables(*ANALYSES)]
    found += ["<tables>/attention.parquet"] if ATTENDED else []
    found += ["<tables>/sufficiency.parquet"] if KEPT_OPEN else []
    return found + [path.replace(".csv", ".html") for path in found if path.endswith(".csv")]


def title(wildcards):
    """What stands above a table's page."""
    number, _, block = wildcards.table.removeprefix("tab").partition("_")
    of = {"video": ": audio-visual video", "items": ": interleaved items"}
    return "Claims" if wildcards.table == "claims" else f"Table {number}{of.get(block, '')}"


def claimed_tables():
    """The tables that claims are held against, as far as the study has them."""
    found = knockout_tables("figure_3", "figure_4", "figure_5", "figure_6", "graded", "value_zero")
    found += ["<tables>/evaluate.parquet", "<tables>/reliance.parquet"]
    found += ["<tables>/pruning.parquet"] if SWEPT else []
    return [*found, "<tables>/tab1.csv"] if "fig1" in drawable() else found


def claims():
    """The verdicts, where the study makes claims."""
    return expand("<tables>/claims.{kind}", kind=["csv", "html"]) if "claims" in STUDY and not PUBLISHED else []


def claims_options():
    """The models, datasets and intervals behind the verdicts."""
    datasets = {"video": STUDY["video"], "items": STUDY["items"]}
    options = {"tables": f"{RESULTS}/tables", "models": windows_of_models(), "datasets": datasets, **drawing()}
    return as_options(options | {"least": config["figures"]["least"]})


def layers_inputs(wildcards):
    """The rows of a model's knockouts from which its layers follow, where config.yaml does not name them."""
    given = config["models"][wildcards.model].get("discard_layers", {})
    pattern = "<results>/knockout/{model}/{dataset}/{analysis}/{shard}.parquet"
    wanted = {
        of: {r for kind in kinds.values() for r in kind["routes"]} for of, kinds in config["pruning"]["kinds"].items()
    }
    return [
        path
        for setting, dataset in SETTINGS.items()
        for analysis in ("figure_4", "figure_5", "figure_6")
        if setting not in given and dataset in SWEPT and analysis in ANALYSES
        if budget(analysis, dataset) and wanted[setting] & set(budget(analysis, dataset)["routes"])
        for path in shards(pattern, [dataset], model=wildcards.model, analysis=analysis)
    ]


def layers_options(wildcards):
    """What the layers of a model follow from."""
    model, pruning = config["models"][wildcards.model], config["pruning"]
    datasets = {setting: name for setting, name in SETTINGS.items() if name in SWEPT}
    options = {"given": model.get("discard_layers"), "kinds": pruning["kinds"], "datasets": datasets}
    options |= {
        "threshold": pruning["threshold"],
        "kl": pruning["vtw"]["kl"],
        "kl_questions": pruning["vtw"]["questions"],
    }
    return shlex.join(
        x for name, v in options.items() for x in (f"--{name.replace('_', '-')}", json.dumps(v, sort_keys=True))
    )


def discard_options(wildcards):
    """Which questions of a dataset tokens are discarded in, and how."""
    dataset, pruning = config["datasets"][wildcards.dataset], config["pruning"]
    tasks = [task for part in DISCARDS.values() for task in part.get(wildcards.dataset, [])]
    first = dataset.get("discard_questions")
    options = {
        "random": pruning["random"],
        "fastv": pruning["fastv"],
        "timed": dataset.get("timed_questions", pruning["timed"]),
        "repeats": pruning["repeats"],
    }
    return f"{shlex.join(['--tasks', *tasks])} {as_options(options | ({'first': first} if first else {}))}"


def pruning_options():
    """The parameters of the figures of discards."""
    datasets = {setting: name for setting, name in SETTINGS.items() if name in SWEPT}
    return as_parameters({"models": MODELS, "datasets": datasets, "margin": config["pruning"]["margin"], **drawing()})


def attention_choice(wildcards):
    """Of which questions of a dataset the attention is read, and what is masked and compared."""
    settings, model = config["attention"], config["models"][wildcards.model]
    chosen = {**questions_of("attention", wildcards.dataset), "maps": settings["maps"], "bins": settings["bins"]}
    if config["datasets"][wildcards.dataset]["setting"] == "av_video":
        chosen |= {"masked": settings["masked"], "change": settings["change"]}
    named = " ".join(map(str, model.get("masked_layers", [])))
    return f"{as_options(chosen)} --masked-layers {named}" if named else as_options(chosen)


def sufficiency_tables(wildcards):
    """The tables that say which routes matter in a dataset."""
    names = config["sufficiency"]["analyses"]
    return knockout_tables(*(name for name in names if budget(name, wildcards.dataset) is not None))


def sufficiency_shards(wildcards):
    """The shards in which only the found routes are kept open, of the study's models."""
    pattern = "<results>/sufficiency/{model}/{dataset}/{shard}.parquet"
    found = []
    for dataset in KEPT_OPEN:
        count = config["datasets"][dataset]["shards"]
        some = range(min(count, questions_of("sufficiency", dataset).get("shards", count)))
        found += expand(pattern, model=MODELS, dataset=dataset, shard=some)
    return found


def sufficiency_choice(wildcards):
    """Of which questions the found routes are kept open, and by which thresholds."""
    settings = config["sufficiency"]
    asked = {k: v for k, v in questions_of("sufficiency", wildcards.dataset).items() if k != "shards"}
    written = as_options({**asked, "draws": settings["draws"]})
    return f"{written} --thresholds {' '.join(map(str, settings['thresholds']))}"


def media_root(wildcards):
    """The folder that the paths in a dataset's questions start from."""
    dataset = config["datasets"][wildcards.dataset]
    return dataset.get("media_folder", f"{RESULTS}/datasets/{wildcards.dataset}")


def frames_of(wildcards):
    """The shard of frames in the sampling that a model wants."""
    sampling = config["models"][wildcards.model]["sampling"]
    return f"<results>/frames/{wildcards.dataset}/{sampling}/{wildcards.shard}.safetensors"


def first_frames(dataset):
    """The first shard of a dataset's frames in the main model's sampling, below the study's results."""
    return f"frames/{dataset}/{config['models'][STUDY['main_model']]['sampling']}/0.safetensors"


def as_parameters(values):
    """{"seed": 0} -> "-p seed 0", as run_notebook.py takes a notebook's parameters; lists and mappings as JSON."""
    written = {k: v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}
    return shlex.join(part for name, value in written.items() for part in ("-p", name, value))


def windows_of_models():
    """Model -> layers in a window, the main model first."""
    return {model: config["models"][model]["window"] for model in MODELS}


def drawing():
    """What every figure with intervals takes."""
    return {"draws": config["figures"]["bootstrap"], "seed": config["seed"]}


def answers(*roles):
    """The tables of answers in the study's datasets for some roles, "video" or "items"; shipped ones are all in one."""
    if PUBLISHED:
        return [drawn("tables/evaluate.parquet")]
    return [drawn(f"tables/evaluate/{dataset}.parquet") for dataset in dict.fromkeys(STUDY[role] for role in roles)]


def reading(*roles):
    """How figures read knockouts, for effects.Reading: `figures` of config.yaml, and the tables that stand beside."""
    settings = config["figures"]
    found = {"evaluated": answers(*roles), "published": "resources/published/curves.csv", **drawing()}
    found["metric"] = settings.get("metric", "probability")
    if settings.get("confident", False) is not False:
        found |= {"confident": settings["confident"], "reliance": drawn("tables/reliance.parquet")}
    return found


def beside(*roles):
    """The files that `reading` names, as inputs."""
    found = reading(*roles)
    return [*found["evaluated"], *(found[name] for name in ("published", "reliance") if name in found)]


def figure_options(role):
    """The parameters of a figure of all models' knockouts in the study's dataset for a role, "video" or "items"."""
    return as_parameters({"models": windows_of_models(), "dataset": STUDY[role], "reading": reading(role)})


def table_or_none(analysis):
    """The path of an analysis's table as a notebook's parameter, empty where the study has none."""
    return drawn(f"tables/knockout_{analysis}.parquet") if analysis in ANALYSES else ""


def order_options():
    """The parameters of app_order."""
    paths = {"items_table": table_or_none("order_items"), "clips_table": table_or_none("order_video")}
    names = {"items": STUDY["items"], "clips": STUDY["video"]}
    return as_parameters({"models": windows_of_models(), **paths, **names, **drawing()})


def reliance_options():
    """The parameters of app_reliance."""
    paths = {"routes_table": table_or_none("figure_4"), "graded_table": table_or_none("graded")}
    return as_parameters({"models": windows_of_models(), **paths, "clips": STUDY["video"], **drawing()})


def attention_options(**more):
    """The parameters of a figure of all models' attention in the study's video."""
    return as_parameters({"models": windows_of_models(), "dataset": STUDY["video"], **more})


def map_options():
    """The same for Figures 1 and 2, with the layers that are drawn where a model names them."""
    layers = {m: config["models"][m]["map_layers"] for m in MODELS if "map_layers" in config["models"][m]}
    return attention_options(layers=layers, **drawing())


def overview_options(**more):
    """The parameters of the figures that repeat the main ones by task or by model."""
    tables = {name: table_or_none(name) for name in FIGURES["app_models"]}
    roles = {"video": STUDY["video"], "items": STUDY["items"]}
    return as_parameters(
        {"models": windows_of_models(), "tables": tables, "datasets": roles, "reading": reading(*roles), **more}
    )


def drawable():
    """The figures that the study's datasets and models have."""
    found = [name for name, needs in FIGURES.items() if not needs or set(needs) & set(ANALYSES)]
    found += OF_VIDEO if ROLES.get(STUDY["video"]) == "video" and STUDY["video"] in ATTENDED else []
    found += ["app_sufficiency"] if KEPT_OPEN else []
    found += ["app_training"] if training_logs() else []
    return found + (["app_world"] if {"mini-video", "mini-items"} <= set(DATASETS) else [])


def estimated(wildcards):
    """The parameters of estimate.py, as JSON: what the study's costs follow from, and what every figure needs."""
    cuts = {name: {d: budgets(name, d) for d in DATASETS if budgets(name, d)} for name in ANALYSES}
    settings = {
        "models": {m: config["models"][m] for m in MODELS},
        "datasets": {d: config["datasets"][d] for d in DATASETS},
    }
    settings |= {"sampling": config["sampling"], "spans": config["spans"], "cuts": cuts}
    settings |= {"keep_features": STUDY.get("keep_features", True), "variants": 4 + config["reliance"]["shuffles"]}
    asked = {k: config["pruning"][k] for k in ("random", "sweep")} | {"swept": SWEPT, "tried": TRIED}
    kinds = {of: [kind["tokens"] for kind in kinds.values()] for of, kinds in config["pruning"]["kinds"].items()}
    settings["discards"] = asked | {"kinds": kinds, "ranked": len(config["pruning"]["fastv"]["keep"])}
    kept_open = config["sufficiency"]
    forwards = {"attention": 1, "sufficiency": 3 + (1 + kept_open["draws"]) * len(kept_open["thresholds"])}
    asked = {"attention": ATTENDED, "sufficiency": KEPT_OPEN}
    settings["looks"] = {
        part: {d: {**questions_of(part, d), "forwards": forwards[part]} for d in datasets}
        for part, datasets in asked.items()
    }
    attentive = [*OF_VIDEO, "app_answer_probability", "app_tasks", "app_models"]
    rests = {**FIGURES, **dict.fromkeys(OF_VIDEO, []), "app_sufficiency": kept_open["analyses"]}
    looks = {**dict.fromkeys(attentive, ["attention"]), "app_sufficiency": ["sufficiency"]}
    needs = {
        name: {
            "cuts": [a for a in analyses if a in ANALYSES],
            "looks": looks.get(name, []),
            "reliance": name == "app_reliance",
        }
        for name, analyses in rests.items()
        if name in drawable()
    }
    if SWEPT:  # the layers of Table 4 follow from knockouts
        chosen = {"cuts": [a for a in ("figure_4", "figure_5", "figure_6") if a in ANALYSES], "reliance": False}
        needs["app_discard_layers"] = {"cuts": [], "reliance": False, "discards": ["discards"]}
        needs["tab4, app_pareto"] = chosen | {"discards": ["discards", "table_4"]}
        needs.pop("app_pareto")
    needs["tables"] = {"cuts": ANALYSES, "looks": ["attention", "sufficiency"], "reliance": True}
    return as_options({"settings": settings, "targets": needs})


def training_logs():
    """Model -> the log of its training, of the tiny models of the study."""
    folders = {m: checkpoint_folder(m) for m in MODELS}
    return {m: f"{folder}/training.jsonl" for m, folder in folders.items() if Path(folder, "training.jsonl").is_file()}


def shards(pattern, among=DATASETS, **wildcards):
    """A pattern filled in for every shard of the study's datasets, or of some."""
    return [
        path
        for dataset in among
        for path in expand(pattern, dataset=dataset, shard=range(config["datasets"][dataset]["shards"]), **wildcards)
    ]


def doubling(base):
    """A resource, in MB or minutes, that doubles on every retry."""

    def scaled(wildcards, attempt):
        return base * 2 ** (attempt - 1)

    return scaled
