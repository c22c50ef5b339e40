"""Ask about a clip's pictures with another clip's sound, and close the routes of either sense window by window."""


rule conflict:
    """Ask the questions of one shard about their own pictures with another clip's sound, and cut and patch routes."""
    input:
        script="<repo>workflow_scripts/conflict.py",
        lib=model_code("conflict"),
        checkpoint=ask(jobs.checkpoint, "model"),
        questions=asked,
        media=decoded,
    output:
        ensure("<results>/conflict/{model}/{dataset}/{shard}.parquet", non_empty=True),
    log:
        "<logs>/conflict/{model}/{dataset}/{shard}.log",
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
        options=ask(jobs.conflict, "dataset"),
    shell:
        "python {input.script:q} --model {wildcards.model:q} {params.model} --threads {threads} --questions {input.questions:q}"
        " --shard {wildcards.shard} --shards {params.shards} {params.source} --spans {params.spans:q} --seed {params.seed}"
        " --width {params.width} --engine {params.engine} {params.options} --out {output:q} 2>&1 | tee {log:q}"


rule gather_conflict:
    """Join all models' rows about conflicts into one table."""
    input:
        script="<repo>workflow_scripts/gather.py",
        lib=code("gather"),
        shards=jobs.conflict_shards(study),
    output:
        ensure("<tables>/conflict.parquet", non_empty=True),
    log:
        "<logs>/gather_conflict.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    shell:
        "python {input.script:q} {input.shards:q} --out {output:q} > {log:q} 2>&1"
