"""Decode media files to frames and sound in a model's sampling, one file per shard."""


rule preprocess_media:
    """Decode the media of one shard: frames in one sampling, and 16 kHz mono sound."""
    input:
        script="workflow_scripts/preprocess_media.py",
        lib=code("preprocess_media"),
        questions="<results>/questions/{dataset}.jsonl",
        media="<results>/media/{dataset}.tsv",
    output:
        ensure("<results>/frames/{dataset}/{sampling}/{shard}.safetensors", non_empty=True),
    log:
        "<logs>/preprocess_media/{dataset}/{sampling}/{shard}.log",
    conda:
        "../envs/data.yaml"
    threads: 4
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(60),
    params:
        folder=ask(Study.media_root, "dataset"),
        shards=of_dataset("shards"),
        sampling=ask(jobs.sampling, "sampling"),
    shell:
        "python {input.script} --questions {input.questions} --media-root {params.folder}"
        " --shard {wildcards.shard} --shards {params.shards} {params.sampling} --threads {threads} --out {output} 2>&1 | tee {log}"
