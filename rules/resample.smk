"""Patch routes with another clip's keys and values, for app_resample."""


rule resample:
    """Patch routes with another clip's keys and values, in both directions, in the questions of one shard."""
    input:
        script="<repo>workflow_scripts/resample.py",
        lib=model_code("resample"),
        checkpoint=ask(jobs.checkpoint, "model"),
        questions=asked,
        media=decoded,
    output:
        ensure("<results>/resample/{model}/{dataset}/{shard}.parquet", non_empty=True),
    log:
        "<logs>/resample/{model}/{dataset}/{shard}.log",
    priority: READING
    conda:
        "../envs/models.yaml"
    threads: of_model("threads")
    resources:
        gpu=of_model("gpus"),
        turn=of_model("gpus"),
        mem_mb=doubling(16000),
        runtime=doubling(120),
    params:
        model=ask(jobs.model, "model"),
        shards=of_dataset("shards"),
        spans=ask(jobs.spans, "dataset"),
        seed=lookup("seed", within=config),
        width=of_model("window"),
        engine=lookup("knockout/engine", within=config),
        source=media_source,
        options=ask(jobs.resample, "dataset"),
    shell:
        "python {input.script:q} --model {wildcards.model:q} {params.model} --threads {threads} --questions {input.questions:q}"
        " --shard {wildcards.shard} --shards {params.shards} {params.source} --spans {params.spans:q} --seed {params.seed}"
        " --width {params.width} --engine {params.engine} {params.options} --out {output:q} 2>&1 | tee {log:q}"


rule gather_resample:
    """Join all models' patched rows into one table."""
    input:
        script="<repo>workflow_scripts/gather.py",
        lib=code("gather"),
        shards=jobs.resample_shards(study),
    output:
        ensure("<tables>/resample.parquet", non_empty=True),
    log:
        "<logs>/gather_resample.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    shell:
        "python {input.script:q} {input.shards:q} --out {output:q} > {log:q} 2>&1"
