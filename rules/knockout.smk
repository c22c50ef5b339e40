"""Cut routes: one row per question, route and window, and one table per analysis. `sensitivity` has one table of all choices."""


rule knockout:
    """Cut the routes of one analysis, window by window, in the questions of one shard."""
    input:
        script="<repo>workflow_scripts/knockout.py",
        lib=model_code("knockout"),
        checkpoint=ask(jobs.checkpoint, "model"),
        questions=asked,
        features=ask(jobs.features, "model", "dataset", "analysis", "shard"),
        evaluate="<results>/evaluate/{model}/{dataset}/{shard}.parquet",
        ranked=ask(jobs.ranked_heads, "analysis", "model", "dataset"),
    output:
        ensure("<results>/knockout/{model}/{dataset}/{analysis}/{shard}.parquet", non_empty=True),
    log:
        "<logs>/knockout/{model}/{dataset}/{analysis}/{shard}.log",
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
        spans=ask(jobs.spans, "dataset", "analysis"),
        seed=lookup("seed", within=config),
        cuts=ask(jobs.knockout_cuts, "analysis", "dataset", "model"),
        width=of_model("window"),
        engine=lookup("knockout/engine", within=config),
        verify=lookup("knockout/verify", within=config),
    shell:
        "python {input.script:q} --model {wildcards.model:q} {params.model} --threads {threads} --questions {input.questions:q}"
        " --shard {wildcards.shard} --shards {params.shards} --features {input.features:q} --evaluate {input.evaluate:q}"
        " --spans {params.spans:q} --seed {params.seed} --cuts {params.cuts:q} --width {params.width}"
        " --engine {params.engine} --verify {params.verify} --ranked {input.ranked:q} --out {output:q} 2>&1 | tee {log:q}"


rule gather_knockout:
    """Join all models' knockout rows of one analysis into one table."""
    input:
        script="<repo>workflow_scripts/gather.py",
        lib=code("gather"),
        shards=ask(jobs.knockout_shards, "analysis"),
    output:
        ensure("<tables>/knockout_{analysis}.parquet", non_empty=True),
    log:
        "<logs>/gather_knockout/{analysis}.log",
    wildcard_constraints:
        analysis="|".join(study.analyses) or "(?!)",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        options=ask(jobs.gather_knockout, "analysis"),
    shell:
        "python {input.script:q} {input.shards:q} {params.options} --out {output:q} > {log:q} 2>&1"


rule gather_sensitivity:
    """Join the rows of all choices that the paper leaves open, each named with its choice and alternative."""
    input:
        script="<repo>workflow_scripts/gather_sensitivity.py",
        lib=code("gather_sensitivity"),
        shards=open_choices.shards(study),
    output:
        ensure("<tables>/sensitivity.parquet", non_empty=True),
    log:
        "<logs>/gather_sensitivity.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        parts=ask(jobs.gather_sensitivity),
    shell:
        "python {input.script:q} {input.shards:q} --parts {params.parts:q} --out {output:q} > {log:q} 2>&1"
