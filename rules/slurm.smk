"""What jobs ask a Slurm cluster for, which `check` holds against its partitions."""

import itertools
from types import SimpleNamespace


def asked_of_slurm(wildcards):
    """Options with the file of partitions and the largest jobs of the first try, if jobs go to Slurm."""
    partitions = getattr(workflow.executor_settings, "partition_config", None)
    if not partitions:
        return ""
    found = {}
    several = [each for each in workflow.rules if "mem_mb" in each.resources and not workflow.is_local(each)]
    for each, dataset in itertools.product(several, study.datasets):
        given = dict(wildcards=SimpleNamespace(model=study.main_model, dataset=dataset), attempt=1)
        given |= dict(input=[], rulename=each.name, async_run=workflow.async_run)  # what those of the profile take
        given["threads"] = each.resources["_cores"].evaluate(**given).value
        asked = {name: each.resources[name] for name in ("mem_mb", "runtime", "gpu") if name in each.resources}
        asked = {name: one.evaluate(**given).value for name, one in asked.items()}
        most = found.setdefault("jobs with a GPU" if asked.get("gpu") else "jobs without a GPU", {})
        for name in ("mem_mb", "runtime", "gpu"):
            most[name] = max(most.get(name, 0), asked.get(name) or 0)
    return jobs.as_options({"partitions": str(partitions), "jobs": found})
