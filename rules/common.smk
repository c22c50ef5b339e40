"""config.yaml -> the lists and small functions that the rules share; the only file with functions."""

import json
import os
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

sys.path.insert(0, str(Path(workflow.basedir) / "workflow_scripts"))
from avflow import provenance

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
check_names(f"studies/{config['study']}/models", [*STUDY["models"], STUDY["main_model"]], config["models"])
check_names(f"studies/{config['study']}/datasets", STUDY["datasets"], config["datasets"])
check_names(f"studies/{config['study']}/video and items", [STUDY["video"], STUDY["items"]], STUDY["datasets"])
check_names("datasets (their setting)", [config["datasets"][d]["setting"] for d in STUDY["datasets"]], config["spans"])
for number, cut in enumerate(config["knockout"]["cuts"], 1):
    check_names(f"knockout/cuts, budget {number}, datasets", cut["datasets"], config["datasets"])
for name, model in config["models"].items():
    check_names(f"models/{name}/sampling", [model["sampling"]], config["sampling"])

for name in STUDY["models"]:
    folder = Path(config["models"][name]["checkpoint"])
    if not (folder / "config.json").is_file():
        raise WorkflowError(
            f"config.yaml: models/{name}/checkpoint is {str(folder)!r}, which holds no checkpoint (config.json)"
        )

MODELS, DATASETS = STUDY["models"], STUDY["datasets"]

# Rules run the Python that runs Snakemake, also when its environment is not activated; under --sdm conda, conda's goes first.
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))


RESULTS = f"results/{config['study']}"


pathvars:
    results=RESULTS,
    logs=f"logs/{config['study']}",
    tables=f"{RESULTS}/tables",
    downloads="downloads",


wildcard_constraints:
    model="|".join(MODELS),
    dataset="|".join(DATASETS),
    sampling="|".join(config["sampling"]),
    shard=r"\d+",


def relative(path):
    return str(path.relative_to(Path(workflow.basedir)))


def code(script):
    """All modules that a script imports, as inputs: a changed line reruns the rule, a new date does not."""
    path = Path(workflow.basedir) / "workflow_scripts" / f"{script}.py"
    return [relative(p) for p in provenance.sources(path) if p != path]


def model_code(script):
    """The same for a script that loads a model: with the adapter of the model's family."""
    path = Path(workflow.basedir) / "workflow_scripts" / f"{script}.py"

    def of(wildcards):
        family = config["models"][wildcards.model]["family"]
        return [relative(p) for p in provenance.sources(path, f"adapters.{family}") if p != path]

    return of


def notebook_code(notebook):
    """The modules that a notebook, and the script that runs it, import."""
    path = Path(workflow.basedir) / "figures" / f"{notebook}.ipynb"
    return sorted({*code("run_notebook"), *(relative(p) for p in provenance.notebook_sources(path))})


def checkpoint(wildcards):
    """The files of a checkpoint folder."""
    folder = Path(config["models"][wildcards.model]["checkpoint"])
    return sorted(str(p) for p in folder.glob("*") if p.suffix in (".json", ".safetensors", ".jinja"))


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
    names = ("family", "checkpoint", "dtype", "system_prompt", "positions")
    return as_options({name: model[name] for name in names if name in model})


def sampling_options(wildcards):
    """The options that say which frames to take, and how large."""
    return as_options(config["sampling"][wildcards.sampling])


def spans(wildcards):
    """The unions of config.yaml for a dataset's setting, as JSON."""
    setting = config["datasets"][wildcards.dataset]["setting"]
    return json.dumps({setting: config["spans"][setting]}, sort_keys=True)


def cuts(wildcards):
    """The knockout budgets of config.yaml for a dataset, as JSON."""
    mine = [c for c in config["knockout"]["cuts"] if wildcards.dataset in c["datasets"]]
    return json.dumps([{k: v for k, v in c.items() if k != "datasets"} for c in mine], sort_keys=True)


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
        "type",
        "shards",
        "media_folder",
        "questions_file",
        *(["tasks"] if dataset["type"] == "miniature" else []),
    )
    return as_options({renamed.get(key, key): value for key, value in dataset.items() if key not in left_out})


def media_root(wildcards):
    """The folder that the paths in a dataset's questions start from."""
    dataset = config["datasets"][wildcards.dataset]
    return dataset.get("media_folder", f"{RESULTS}/datasets/{wildcards.dataset}")


def frames_of(wildcards):
    """The shard of frames in the sampling that a model wants."""
    sampling = config["models"][wildcards.model]["sampling"]
    return f"<results>/frames/{wildcards.dataset}/{sampling}/{wildcards.shard}.safetensors"


def first_frames(dataset):
    """The first shard of a dataset's frames in the main model's sampling."""
    return f"<results>/frames/{dataset}/{config['models'][STUDY['main_model']]['sampling']}/0.safetensors"


def figure_options(role):
    """The parameters of a figure of the main model's knockouts in the study's dataset for a role, "video" or "items"."""
    model = STUDY["main_model"]
    values = {"model": model, "dataset": STUDY[role], "width": config["models"][model]["window"]}
    values |= {"draws": config["figures"]["bootstrap"], "seed": config["seed"]}
    return " ".join(f"-p {name} {value}" for name, value in values.items())


def shards(pattern, **wildcards):
    """A pattern filled in for every shard of every dataset of the study."""
    return [
        path
        for dataset in DATASETS
        for path in expand(pattern, dataset=dataset, shard=range(config["datasets"][dataset]["shards"]), **wildcards)
    ]


def doubling(base):
    """A resource that doubles on every retry."""

    def scaled(wildcards, attempt):
        return base * 2 ** (attempt - 1)

    return scaled
