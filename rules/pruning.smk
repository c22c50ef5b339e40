"""Discard tokens after every layer, choose the layers of Table 4, and measure accuracy and costs there."""


rule discard_sweep:
    """Discard each kind of token, or as many random ones, after every layer, in the questions of one shard."""
    input:
        script="<repo>workflow_scripts/discard_sweep.py",
        lib=model_code("discard_sweep"),
        checkpoint=ask(jobs.checkpoint, "model"),
        questions=asked,
        features="<results>/features/{model}/{dataset}/{shard}.safetensors",
    output:
        ensure("<results>/discard_sweep/{model}/{dataset}/{shard}.parquet", non_empty=True),
    log:
        "<logs>/discard_sweep/{model}/{dataset}/{shard}.log",
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
        options=ask(jobs.discard_sweep, "dataset"),
    shell:
        "python {input.script:q} --model {wildcards.model:q} {params.model} --threads {threads} --questions {input.questions:q}"
        " --shard {wildcards.shard} --shards {params.shards} --features {input.features:q} --spans {params.spans:q}"
        " --seed {params.seed} {params.options} --out {output:q} 2>&1 | tee {log:q}"


rule discard_layers:
    """Choose the layers after which a model's tokens are discarded, from config.yaml or from its own knockouts."""
    input:
        script="<repo>workflow_scripts/discard_layers.py",
        lib=code("discard_layers"),
        knockouts=ask(jobs.layer_shards, "model"),
        swept=lambda wildcards: study.shards("discard_sweep", study.swept, [wildcards.model]),
    output:
        ensure("<results>/discard_layers/{model}.json", non_empty=True),
    log:
        "<logs>/discard_layers/{model}.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        window=of_model("window"),
        options=ask(jobs.discard_layers, "model"),
    shell:
        "python {input.script:q} --model {wildcards.model:q} --window {params.window} {params.options}"
        " --knockouts {input.knockouts:q} --swept {input.swept:q} --out {output:q} > {log:q} 2>&1"


rule pruning:
    """Discard tokens for good in the questions of one shard: Table 4's settings, random tokens, FastV and VTW."""
    input:
        script="<repo>workflow_scripts/pruning.py",
        lib=model_code("pruning"),
        checkpoint=ask(jobs.checkpoint, "model"),
        questions=asked,
        media=decoded,
        layers="<results>/discard_layers/{model}.json",
    output:
        ensure("<results>/pruning/{model}/{dataset}/{shard}.parquet", non_empty=True),
    log:
        "<logs>/pruning/{model}/{dataset}/{shard}.log",
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
        source=media_source,
        options=ask(jobs.pruning, "dataset"),
    shell:
        "python {input.script:q} --model {wildcards.model:q} {params.model} --threads {threads} --questions {input.questions:q}"
        " --shard {wildcards.shard} --shards {params.shards} {params.source}"
        " --layers {input.layers:q} --spans {params.spans:q} --seed {params.seed} {params.options}"
        " --out {output:q} 2>&1 | tee {log:q}"


rule gather_discard_sweep:
    """Join all models' discards after every layer into one table."""
    input:
        script="<repo>workflow_scripts/gather.py",
        lib=code("gather"),
        shards=study.shards("discard_sweep", study.swept),
    output:
        ensure("<tables>/discard_sweep.parquet", non_empty=True),
    log:
        "<logs>/gather_discard_sweep.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    shell:
        "python {input.script:q} {input.shards:q} --out {output:q} > {log:q} 2>&1"


rule gather_pruning:
    """Join all models' discards of Table 4 into one table."""
    input:
        script="<repo>workflow_scripts/gather.py",
        lib=code("gather"),
        shards=study.shards("pruning", study.tried),
    output:
        ensure("<tables>/pruning.parquet", non_empty=True),
    log:
        "<logs>/gather_pruning.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    shell:
        "python {input.script:q} {input.shards:q} --out {output:q} > {log:q} 2>&1"
