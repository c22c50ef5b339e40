"""When and where in the clip does an answer come from? Cut times and places, window by window."""


rule where:
    """Cut the times and places of clips in the questions of one shard."""
    input:
        script="<repo>workflow_scripts/where.py",
        lib=model_code("where"),
        checkpoint=ask(jobs.checkpoint, "model"),
        questions=asked,
        features="<results>/features/{model}/{dataset}/{shard}.safetensors",
    output:
        ensure("<results>/where/{model}/{dataset}/{shard}.parquet", non_empty=True),
    log:
        "<logs>/where/{model}/{dataset}/{shard}.log",
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
        reply_tokens=lookup("max_reply_tokens", within=config),
        options=ask(jobs.where, "dataset"),
    shell:
        "python {input.script:q} --model {wildcards.model:q} {params.model} --threads {threads} --questions {input.questions:q}"
        " --shard {wildcards.shard} --shards {params.shards} --features {input.features:q} --spans {params.spans:q}"
        " --seed {params.seed} --width {params.width} --engine {params.engine} --reply-tokens {params.reply_tokens}"
        " {params.options} --out {output:q} 2>&1 | tee {log:q}"


rule gather_where:
    """Join all models' rows about times and places into one table."""
    input:
        script="<repo>workflow_scripts/gather.py",
        lib=code("gather"),
        shards=jobs.where_shards(study),
    output:
        ensure("<tables>/where.parquet", non_empty=True),
    log:
        "<logs>/gather_where.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    shell:
        "python {input.script:q} {input.shards:q} --out {output:q} > {log:q} 2>&1"
