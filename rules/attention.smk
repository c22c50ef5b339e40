"""Where the last token looks, what each layer would answer, and whether the found routes are enough."""


rule attention:
    """Record attention, sinks and each layer's answer in the questions of one shard, and mask attention in the last layers."""
    input:
        script="<repo>workflow_scripts/attention.py",
        lib=model_code("attention"),
        checkpoint=ask(jobs.checkpoint, "model"),
        questions=asked,
        features="<results>/features/{model}/{dataset}/{shard}.safetensors",
    output:
        ensure("<results>/attention/{model}/{dataset}/{shard}.parquet", non_empty=True),
    log:
        "<logs>/attention/{model}/{dataset}/{shard}.log",
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
        options=ask(jobs.attention, "model", "dataset"),
    shell:
        "python {input.script:q} --model {wildcards.model:q} {params.model} --threads {threads} --questions {input.questions:q}"
        " --shard {wildcards.shard} --shards {params.shards} --features {input.features:q} --spans {params.spans:q}"
        " --seed {params.seed} {params.options} --out {output:q} 2>&1 | tee {log:q}"


rule gather_attention:
    """Join the attention of all models into one table."""
    input:
        script="<repo>workflow_scripts/gather.py",
        lib=code("gather"),
        shards=study.shards("attention", study.attended),
    output:
        ensure("<tables>/attention.parquet", non_empty=True),
    log:
        "<logs>/gather_attention.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    shell:
        "python {input.script:q} {input.shards:q} --out {output:q} > {log:q} 2>&1"


rule sufficiency:
    """Keep only those routes open that the knockouts found, in the questions of one shard; as a control, as many random edges."""
    input:
        script="<repo>workflow_scripts/sufficiency.py",
        lib=model_code("sufficiency"),
        checkpoint=ask(jobs.checkpoint, "model"),
        questions=asked,
        features=ask(jobs.features_again, "model", "dataset", "shard"),
        evaluate="<results>/evaluate/{model}/{dataset}/{shard}.parquet",
        knockouts=ask(jobs.sufficiency_tables, "dataset"),
    output:
        ensure("<results>/sufficiency/{model}/{dataset}/{shard}.parquet", non_empty=True),
    log:
        "<logs>/sufficiency/{model}/{dataset}/{shard}.log",
    priority: READING
    conda:
        "../envs/models.yaml"
    threads: of_model("threads")
    resources:
        gpu=of_model("gpus"),
        turn=of_model("gpus"),
        mem_mb=doubling(8000),
        runtime=doubling(120),
    params:
        model=ask(jobs.model, "model"),
        shards=of_dataset("shards"),
        spans=ask(jobs.spans, "dataset"),
        seed=lookup("seed", within=config),
        width=of_model("window"),
        options=ask(jobs.sufficiency, "dataset"),
    shell:
        "python {input.script:q} --model {wildcards.model:q} {params.model} --threads {threads} --questions {input.questions:q}"
        " --shard {wildcards.shard} --shards {params.shards} --features {input.features:q} --evaluate {input.evaluate:q}"
        " --knockouts {input.knockouts:q} --spans {params.spans:q} --seed {params.seed} --width {params.width}"
        " {params.options} --out {output:q} 2>&1 | tee {log:q}"


rule gather_sufficiency:
    """Join the answers of all models with only the found routes open into one table."""
    input:
        script="<repo>workflow_scripts/gather.py",
        lib=code("gather"),
        shards=jobs.sufficiency_shards(study),
    output:
        ensure("<tables>/sufficiency.parquet", non_empty=True),
    log:
        "<logs>/gather_sufficiency.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    shell:  # without a right answer, no route is found
        "python {input.script:q} {input.shards:q} --may-be-empty --out {output:q} > {log:q} 2>&1"
