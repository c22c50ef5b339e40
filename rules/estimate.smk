"""Print what the study will cost, before anything starts."""


rule estimate:
    """Print GPU-hours by figure and model, downloads, peak on disk, and jobs. Nothing is computed or downloaded."""
    input:
        script="<repo>workflow_scripts/estimate.py",
        lib=code("estimate"),
        models="<repo>resources/published/models.csv",
        datasets="<repo>resources/published/datasets.csv",
        sweeps="<repo>benchmarks/knockout.json",
        stages="<repo>benchmarks/full_size.json",
        fitted="<repo>benchmarks/stages.json",
        groups="<repo>profiles/by_shard/config.yaml",
    log:
        "<logs>/estimate.log",
    localrule: True
    conda:
        "../envs/models.yaml"
    params:
        options=ask(jobs.estimate),
        pins=study.found("resources/pins"),
    shell:
        "python {input.script:q} {params.options} --models {input.models:q} --datasets {input.datasets:q}"
        " --sweeps {input.sweeps:q} --stages {input.stages:q} --fitted {input.fitted:q} --groups {input.groups:q} --pins {params.pins:q} 2>&1 | tee {log:q}"
