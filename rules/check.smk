"""Look at the machine before hours pass."""


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
