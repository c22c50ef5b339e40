"""Questions and files -> frames and sound in the sampling that a model wants, one file a shard."""


rule preprocess_media:
    """Decode the media of one shard: frames at exactly t = k / fps, and 16 kHz mono sound."""
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
    resources:
        mem_mb=doubling(4000),
    params:
        folder=media_root,
        shards=of_dataset("shards"),
        fps=lookup("sampling/{sampling}/fps", within=config),
        max_frames=lookup("sampling/{sampling}/max_frames", within=config),
        multiple=lookup("sampling/{sampling}/multiple", within=config),
        min_pixels=lookup("sampling/{sampling}/min_pixels", within=config),
        max_pixels=lookup("sampling/{sampling}/max_pixels", within=config),
    shell:
        "python {input.script} --questions {input.questions} --media-root {params.folder}"
        " --shard {wildcards.shard} --shards {params.shards} --fps {params.fps} --max-frames {params.max_frames}"
        " --multiple {params.multiple} --min-pixels {params.min_pixels} --max-pixels {params.max_pixels}"
        " --out {output} 2>&1 | tee {log}"
