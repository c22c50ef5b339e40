"""What all rules share: `study`, made from config.yaml, answers what a job needs; a few functions pass the answers to rules."""

import functools
import os
import sys
from pathlib import Path

from avflow import figure_table, jobs, open_choices
from avflow.storage import provenance
from avflow.study import Study

study = one_line(Study, config)

# Rules use the Python that runs Snakemake, even if its environment is not activated. Under --sdm conda, conda's comes first.
# HF_HUB_OFFLINE keeps rules from looking up on the hub what they load from disk; only the rules of downloads.smk lift it.
os.environ.update(PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}", HF_HUB_OFFLINE="1")


onstart:
    one_line(study.check_writable)
    if worth_preloading():
        preload()


pathvars:
    results=study.paths["results"],
    downloads=study.paths["downloads"],
    logs=study.paths["logs"],
    tables=study.paths["tables"],


wildcard_constraints:
    model="|".join(study.models),
    dataset="|".join(dict.fromkeys([*study.datasets, *study.tried])),
    sampling="|".join(config["sampling"]),
    shard=r"\d+",
    analysis="|".join([*study.analyses, *one_line(open_choices.analyses, study)]),


in_repository = lambda path: study.own(str(path.relative_to(places.REPOSITORY)))


@functools.cache
def code(script, *also):
    """All modules that a script imports, as inputs of its rule. A changed line reruns the rule; a new date does not."""
    path = places.REPOSITORY / "workflow_scripts" / f"{script}.py"
    return [in_repository(p) for p in provenance.sources(path, *also) if p != path]


def model_code(script):
    """The same for a script that loads a model, with the adapter of the model's family."""
    return lambda wildcards: code(script, f"models.{study.model(wildcards.model)['family']}")


def notebook_code(notebook):
    """The modules that a notebook and run_notebook.py import."""
    found = provenance.notebook_sources(places.REPOSITORY / "figures" / f"{notebook}.ipynb")
    return sorted({*code("run_notebook"), *map(in_repository, found)})


def ask(function, *names):
    """An input or parameter of a rule: `function` called with the study and the job's wildcards of these names."""
    return lambda wildcards: one_line(function, study, *(getattr(wildcards, name) for name in names))


of_model = lambda key: lambda wildcards: study.model(wildcards.model)[key]  # a setting of the job's model
of_dataset = lambda key: lambda wildcards: study.dataset(wildcards.dataset)[key]
doubling = lambda base: lambda wildcards, attempt: base * 2 ** (attempt - 1)  # MB or minutes, doubled on every retry
per_thread = lambda base, each: lambda wildcards, threads, attempt: (base + each * threads) * 2 ** (attempt - 1)
