"""Encode frames and sound with each model, one file per shard. Each medium is encoded once, however many interventions use it.

With `keep_features: false`, a shard's features are removed as soon as every job that reads them is done.
"""

kept = (lambda file: file) if study.keeps_features else temp


rule extract_features:
    """Run a model's vision and audio encoders over one shard."""
    input:
        script="<repo>workflow_scripts/extract_features.py",
        lib=model_code("extract_features"),
        checkpoint=ask(jobs.checkpoint, "model"),
        frames=ask(jobs.frames, "dataset", "model", "shard"),
    output:
        kept(ensure("<results>/features/{model}/{dataset}/{shard}.safetensors", non_empty=True)),
    log:
        "<logs>/extract_features/{model}/{dataset}/{shard}.log",
    conda:
        "../envs/models.yaml"
    threads: of_model("threads")
    resources:
        gpu=of_model("gpus"),
        mem_mb=doubling(16000),
        runtime=doubling(60),
    params:
        model=ask(jobs.model, "model"),
    shell:
        "python {input.script:q} {params.model} --threads {threads} --frames {input.frames:q} --out {output:q} 2>&1 | tee {log:q}"


rule extract_features_in_another_sampling:
    """Run a model's encoders over one shard of frames that are not in the model's own sampling, for an alternative to it."""
    input:
        script="<repo>workflow_scripts/extract_features.py",
        lib=model_code("extract_features"),
        checkpoint=ask(jobs.checkpoint, "model"),
        frames="<results>/frames/{dataset}/{sampling}/{shard}.safetensors",
    output:
        kept(ensure("<results>/features/{model}/{dataset}/{sampling}/{shard}.safetensors", non_empty=True)),
    log:
        "<logs>/extract_features/{model}/{dataset}/{sampling}/{shard}.log",
    conda:
        "../envs/models.yaml"
    threads: of_model("threads")
    resources:
        gpu=of_model("gpus"),
        mem_mb=doubling(16000),
        runtime=doubling(60),
    params:
        model=ask(jobs.model, "model"),
    shell:
        "python {input.script:q} {params.model} --threads {threads} --frames {input.frames:q} --out {output:q} 2>&1 | tee {log:q}"
