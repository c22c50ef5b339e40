"""Ask every question once: one row per question with option logits, answer, correctness and margin."""


rule evaluate:
    """Ask a model the questions of one shard."""
    input:
        script="<repo>workflow_scripts/evaluate.py",
        lib=model_code("evaluate"),
        checkpoint=ask(jobs.checkpoint, "model"),
        questions=asked,
        features="<results>/features/{model}/{dataset}/{shard}.safetensors",
    output:
        ensure("<results>/evaluate/{model}/{dataset}/{shard}.parquet", non_empty=True),
    log:
        "<logs>/evaluate/{model}/{dataset}/{shard}.log",
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
        reply_tokens=lookup("max_reply_tokens", within=config),
    shell:
        "python {input.script:q} --model {wildcards.model:q} {params.model} --threads {threads} --questions {input.questions:q}"
        " --shard {wildcards.shard} --shards {params.shards} --features {input.features:q}"
        " --spans {params.spans:q} --seed {params.seed} --reply-tokens {params.reply_tokens} --out {output:q} 2>&1 | tee {log:q}"


rule gather_answers:
    """Join all models' answers to one dataset into one table, so that a figure waits only for its own datasets."""
    input:
        script="<repo>workflow_scripts/gather.py",
        lib=code("gather"),
        shards=lambda wildcards: study.shards("evaluate", [wildcards.dataset]),
    output:
        ensure("<tables>/evaluate/{dataset}.parquet", non_empty=True),
    log:
        "<logs>/gather_answers/{dataset}.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    shell:
        "python {input.script:q} {input.shards:q} --out {output:q} > {log:q} 2>&1"


rule gather_evaluate:
    """Join all models' answers to all datasets into one table."""
    input:
        script="<repo>workflow_scripts/gather.py",
        lib=code("gather"),
        tables=expand("<tables>/evaluate/{dataset}.parquet", dataset=study.datasets),
    output:
        ensure("<tables>/evaluate.parquet", non_empty=True),
    log:
        "<logs>/gather_evaluate.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    shell:
        "python {input.script:q} {input.tables:q} --out {output:q} > {log:q} 2>&1"
