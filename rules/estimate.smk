"""Print what the study will cost, before anything starts."""


rule estimate:
    """Print GPU-hours by figure and model, downloads and disk. Nothing is computed or downloaded."""
    input:
        script="workflow_scripts/estimate.py",
        lib=code("estimate"),
        models="resources/published/models.csv",
        datasets="resources/published/datasets.csv",
        sweeps="benchmarks/knockout.json",
        stages="benchmarks/full_size.json",
    log:
        "<logs>/estimate.log",
    localrule: True
    conda:
        "../envs/models.yaml"
    params:
        options=ask(jobs.estimate),
    shell:
        "python {input.script} {params.options} --models {input.models} --datasets {input.datasets}"
        " --sweeps {input.sweeps} --stages {input.stages} --pins resources/pins 2>&1 | tee {log}"
