"""Ask the questions again without a sense, with another clip's sound, or with shuffled options, and join the rows."""


rule reliance:
    """Ask the questions of one shard again without a sense, with another clip's sound, or with their options shuffled."""
    input:
        script="<repo>workflow_scripts/reliance.py",
        lib=model_code("reliance"),
        checkpoint=ask(jobs.checkpoint, "model"),
        questions=asked,
        features="<results>/features/{model}/{dataset}/{shard}.safetensors",
    output:
        ensure("<results>/reliance/{model}/{dataset}/{shard}.parquet", non_empty=True),
    log:
        "<logs>/reliance/{model}/{dataset}/{shard}.log",
    priority: READING
    conda:
        "../envs/models.yaml"
    threads: of_model("threads")
    resources:
        gpu=of_model("gpus"),
        turn=of_model("gpus"),
        mem_mb=doubling(8000),
        runtime=doubling(60),
    params:
        model=ask(jobs.model, "model"),
        shards=of_dataset("shards"),
        spans=ask(jobs.spans, "dataset"),
        seed=lookup("seed", within=config),
        options=ask(jobs.reliance, "dataset"),
    shell:
        "python {input.script:q} --model {wildcards.model:q} {params.model} --threads {threads} --questions {input.questions:q}"
        " --shard {wildcards.shard} --shards {params.shards} --features {input.features:q} --spans {params.spans:q}"
        " --seed {params.seed} {params.options} --out {output:q} 2>&1 | tee {log:q}"


rule gather_reliance:
    """Join all models' answers to all variants into one table."""
    input:
        script="<repo>workflow_scripts/gather.py",
        lib=code("gather"),
        shards=study.shards("reliance"),
    output:
        ensure("<tables>/reliance.parquet", non_empty=True),
    log:
        "<logs>/gather_reliance.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    shell:
        "python {input.script:q} {input.shards:q} --out {output:q} > {log:q} 2>&1"
