"""Encode frames and sound with each model, one file per shard. Each medium is encoded once, however many interventions use it.

With `keep_features: false`, a shard's features are removed as soon as every job that reads them is done. Jobs that read features
have a higher priority than those that make them, so that a GPU finishes one shard before it begins another. `turn` keeps the jobs
of a group (profiles/by_shard) from using its GPU at once.
"""

kept = (lambda file: file) if study.keeps_features else temp
READING = 10  # priority of jobs that read features
MAKING = 1  # that of jobs that make them; those in another sampling come last, because their knockouts wait for answers


rule extract_features:
    """Run a model's vision and audio encoders over one shard."""
    input:
        script="<repo>workflow_scripts/extract_features.py",
        lib=model_code("extract_features"),
        checkpoint=ask(jobs.checkpoint, "model"),
        media=decoded,
    output:
        features=kept(ensure("<results>/features/{model}/{dataset}/{shard}.safetensors", non_empty=True)),
        table=jobs.sampled_table(study, "{dataset}", "{model}", "{shard}"),
    log:
        "<logs>/extract_features/{model}/{dataset}/{shard}.log",
    priority: MAKING
    conda:
        "../envs/models.yaml"
    threads: of_model("threads")
    resources:
        gpu=of_model("gpus"),
        turn=of_model("gpus"),
        mem_mb=doubling(16000),
        runtime=doubling(60),
    params:
        model=ask(jobs.model, "model"),
        source=media_source,
        table="" if study.keeps_frames else "--table",
    shell:
        "python {input.script:q} {params.model} --threads {threads} {params.source} --out {output.features:q}"
        " {params.table} {output.table:q} 2>&1 | tee {log:q}"


rule extract_features_in_another_sampling:
    """Run a model's encoders over one shard in a sampling that is not the model's own, for an alternative to it."""
    input:
        script="<repo>workflow_scripts/extract_features.py",
        lib=model_code("extract_features"),
        checkpoint=ask(jobs.checkpoint, "model"),
        media=decoded,
    output:
        kept(ensure("<results>/features/{model}/{dataset}/{sampling}/{shard}.safetensors", non_empty=True)),
    log:
        "<logs>/extract_features/{model}/{dataset}/{sampling}/{shard}.log",
    conda:
        "../envs/models.yaml"
    threads: of_model("threads")
    resources:
        gpu=of_model("gpus"),
        turn=of_model("gpus"),
        mem_mb=doubling(16000),
        runtime=doubling(60),
    params:
        model=ask(jobs.model, "model"),
        source=media_source,
    shell:
        "python {input.script:q} {params.model} --threads {threads} {params.source} --out {output:q} 2>&1 | tee {log:q}"


rule extract_features_again:
    """Run a model's encoders over one shard once more, for `sufficiency`, where features are not kept until it can begin."""
    input:
        script="<repo>workflow_scripts/extract_features.py",
        lib=model_code("extract_features"),
        checkpoint=ask(jobs.checkpoint, "model"),
        media=decoded,
        knockouts=lambda wildcards: [ancient(path) for path in jobs.sufficiency_tables(study, wildcards.dataset)],
    output:
        temp(ensure("<results>/features/{model}/{dataset}/for_sufficiency/{shard}.safetensors", non_empty=True)),
    log:
        "<logs>/extract_features_again/{model}/{dataset}/{shard}.log",
    conda:
        "../envs/models.yaml"
    threads: of_model("threads")
    resources:
        gpu=of_model("gpus"),
        turn=of_model("gpus"),
        mem_mb=doubling(16000),
        runtime=doubling(60),
    params:
        model=ask(jobs.model, "model"),
        source=media_source,
    shell:
        "python {input.script:q} {params.model} --threads {threads} {params.source} --out {output:q} 2>&1 | tee {log:q}"
