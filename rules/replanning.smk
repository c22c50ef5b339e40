"""What changed media concern: the inputs of rules that read what prepare makes. avflow/questions/replanning.py says why."""

import functools
from pathlib import Path
from types import SimpleNamespace

from avflow import jobs
from avflow.questions import readers, replanning

# Leave out the list of readers, so that a new reader reruns no other dataset.
reader_code = lambda wildcards: [
    path
    for path in code("prepare", readers.MODULES[study.dataset(wildcards.dataset)["type"]])
    if Path(path).stem != "readers"
]


def media_folder(wildcards):
    """A dataset's media. `media_state` watches your own, because a folder's date shows no overwritten file and no sub-folder."""
    folder = study.media_folder(wildcards.dataset)
    return ancient(folder) if jobs.media_state(study, wildcards.dataset) else folder


def told(wildcards):
    """What decides prepare's outputs; empty for media that a rule makes."""
    return one_line(
        jobs.told, study, wildcards.dataset, [study.own("workflow_scripts/prepare.py"), *reader_code(wildcards)]
    )


@functools.cache
def concerned(dataset):
    """The shards that changed media concern, if prepare runs for them alone."""
    now, table = told(SimpleNamespace(dataset=dataset)), f"{study.paths['results']}/media/{dataset}.tsv"
    place = study.media_root(dataset), study.dataset(dataset)["shards"], study.questions_made(dataset)
    return replanning.concerned(table, now, *place) if now else None


onsuccess:
    for name in study.datasets:
        if concerned(name) and concerned(name).surprised(study.questions_made(name)):
            print(
                f"{name}: a changed file dropped a question or brought one back; run the same command again for other shards"
            )


def unless_settled(path, dataset, shard=None, part="questions"):
    """An output of prepare. It is `ancient` for a shard that no changed medium concerns; shard None: for the whole dataset."""
    found = concerned(dataset)
    shards = getattr(found, part) if found else None
    settled = found and not (shards if shard is None else int(shard) in shards)
    return ancient(path) if settled else path


def asked(wildcards):
    """The questions that the job's shard is part of."""
    return unless_settled(study.questions_made(wildcards.dataset), wildcards.dataset, wildcards.shard)


def settled(paths):
    """Files, of which those that prepare makes are `unless_settled`."""
    made = {study.questions_made(name, end): name for name in study.datasets for end in ("jsonl", "dropped.tsv")}
    return [unless_settled(path, made[path]) if path in made else path for path in paths]


def listed(wildcards):
    """The list of the shard's media."""
    path = jobs.media_list(study, wildcards.dataset, wildcards.shard)
    return unless_settled(path, wildcards.dataset, wildcards.shard, "media")


def decoded(wildcards):
    """What a job that encodes reads: the shard's frames, or its list of media, if the study keeps no frames."""
    if not study.keeps_frames:
        return listed(wildcards)
    return one_line(jobs.frames, study, wildcards.dataset, sampled_as(wildcards), wildcards.shard)


def sampled_as(wildcards):
    """The job's own sampling, or its model, which stands for the model's sampling."""
    return wildcards.get("sampling", wildcards.get("model"))


def media_source(wildcards):
    """The options that say the same."""
    return one_line(jobs.media_source, study, wildcards.dataset, sampled_as(wildcards), wildcards.shard)
