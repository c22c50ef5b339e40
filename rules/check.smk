"""Look at the machine before hours pass."""

from types import SimpleNamespace


def asked_of_slurm(wildcards):
    """Options with the file of partitions and the largest jobs of the first try, if jobs go to Slurm."""
    partitions = getattr(workflow.executor_settings, "partition_config", None)
    if not partitions:
        return ""
    found = {}
    for rule in filter(lambda rule: "mem_mb" in rule.resources and not workflow.is_local(rule), workflow.rules):
        given = dict(wildcards=SimpleNamespace(model=study.main_model), attempt=1)
        given |= dict(input=[], rulename=rule.name, async_run=workflow.async_run)  # what those of the profile take
        given["threads"] = rule.resources["_cores"].evaluate(**given).value
        asked = {name: rule.resources[name] for name in ("mem_mb", "runtime", "gpu") if name in rule.resources}
        asked = {name: one.evaluate(**given).value for name, one in asked.items()}
        most = found.setdefault("jobs with a GPU" if asked.get("gpu") else "jobs without a GPU", {})
        for name in ("mem_mb", "runtime", "gpu"):
            most[name] = max(most.get(name, 0), asked.get(name) or 0)
    return jobs.as_options({"partitions": str(partitions), "jobs": found})


rule check:
    """Check GPU memory, driver, disk, pins, licences, readers and partitions against the study; says what helps. Starts nothing."""
    input:
        script="<repo>workflow_scripts/check.py",
        lib=code("check"),
        models="<repo>resources/published/models.csv",
        datasets="<repo>resources/published/datasets.csv",
        sweeps="<repo>benchmarks/knockout.json",
        stages="<repo>benchmarks/full_size.json",
        fitted="<repo>benchmarks/stages.json",
    log:
        "<logs>/check.log",
    retries: 0
    localrule: True
    conda:
        "../envs/models.yaml"
    params:
        options=ask(jobs.check),
        pins=study.found("resources/pins"),
        slurm=asked_of_slurm,
    shell:
        "env -u HF_HUB_OFFLINE -u TRANSFORMERS_OFFLINE"
        " python {input.script:q} {params.options} --models {input.models:q} --datasets {input.datasets:q}"
        " --sweeps {input.sweeps:q} --stages {input.stages:q} --fitted {input.fitted:q} --pins {params.pins:q}"
        " {params.slurm} 2>&1 | tee {log:q}"
