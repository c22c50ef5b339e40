"""Questions and features -> where the last token looks and what it knows, and whether the found routes are enough."""


rule attention:
    """Read attention, sinks and the answer by layer off one run a question of one shard; mask attention in the last layers."""
    input:
        script="workflow_scripts/attention.py",
        lib=model_code("attention"),
        checkpoint=ask(jobs.checkpoint, "model"),
        questions="<results>/questions/{dataset}.jsonl",
        features="<results>/features/{model}/{dataset}/{shard}.safetensors",
    output:
        ensure("<results>/attention/{model}/{dataset}/{shard}.parquet", non_empty=True),
    log:
        "<logs>/attention/{model}/{dataset}/{shard}.log",
    conda:
        "../envs/models.yaml"
    threads: of_model("threads")
    resources:
        gpu=of_model("gpus"),
        mem_mb=doubling(8000),
        runtime=doubling(60),
    params:
        model=ask(jobs.model, "model"),
        shards=of_dataset("shards"),
        spans=ask(jobs.spans, "dataset"),
        seed=lookup("seed", within=config),
        options=ask(jobs.attention, "model", "dataset"),
    shell:
        "python {input.script} --model {wildcards.model} {params.model} --threads {threads} --questions {input.questions}"
        " --shard {wildcards.shard} --shards {params.shards} --features {input.features} --spans {params.spans:q}"
        " --seed {params.seed} {params.options} --out {output} 2>&1 | tee {log}"


rule gather_attention:
    """All models' attention in one table."""
    input:
        script="workflow_scripts/gather.py",
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
        "python {input.script} {input.shards} --out {output} > {log} 2>&1"


rule sufficiency:
    """Keep only the routes that the knockouts found open, in the questions of one shard, against as many random edges."""
    input:
        script="workflow_scripts/sufficiency.py",
        lib=model_code("sufficiency"),
        checkpoint=ask(jobs.checkpoint, "model"),
        questions="<results>/questions/{dataset}.jsonl",
        features="<results>/features/{model}/{dataset}/{shard}.safetensors",
        evaluate="<results>/evaluate/{model}/{dataset}/{shard}.parquet",
        knockouts=ask(jobs.sufficiency_tables, "dataset"),
    output:
        ensure("<results>/sufficiency/{model}/{dataset}/{shard}.parquet", non_empty=True),
    log:
        "<logs>/sufficiency/{model}/{dataset}/{shard}.log",
    conda:
        "../envs/models.yaml"
    threads: of_model("threads")
    resources:
        gpu=of_model("gpus"),
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
        "python {input.script} --model {wildcards.model} {params.model} --threads {threads} --questions {input.questions}"
        " --shard {wildcards.shard} --shards {params.shards} --features {input.features} --evaluate {input.evaluate}"
        " --knockouts {input.knockouts} --spans {params.spans:q} --seed {params.seed} --width {params.width}"
        " {params.options} --out {output} 2>&1 | tee {log}"


rule gather_sufficiency:
    """All models' answers with only the found routes open in one table."""
    input:
        script="workflow_scripts/gather.py",
        lib=code("gather"),
        shards=jobs.sufficiency_shards(study),
    output:
        ensure("<tables>/sufficiency.parquet", non_empty=True),
    log:
        "<logs>/gather_sufficiency.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    shell:
        "python {input.script} {input.shards} --out {output} > {log} 2>&1"
