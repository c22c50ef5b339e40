"""Decode media files to frames and sound in a model's sampling, one file per shard.

With `keep_frames: false` no file of frames is made: jobs that encode decode their shard's media, ahead of the encoders.
"""

for name in dict.fromkeys([*study.datasets, *study.tried]):

    rule:
        """List the media of each shard of a dataset, with their digests. Other shards keep their lists if a file changes."""
        name:
            f"shard_media_{name}"
        input:
            script="<repo>workflow_scripts/shard_media.py",
            lib=code("shard_media"),
            questions=lambda wildcards, name=name: unless_settled(study.questions_made(name), name),
            media=lambda wildcards, name=name: unless_settled(f"{study.paths['results']}/media/{name}.tsv", name),
        output:
            [jobs.media_list(study, name, shard) for shard in range(study.dataset(name)["shards"])],
        log:
            f"<logs>/shard_media/{name}.log",
        localrule: True
        conda:
            "../envs/data.yaml"
        shell:
            "python {input.script:q} --questions {input.questions:q} --media {input.media:q} --out {output:q} > {log:q} 2>&1"


rule preprocess_media:
    """Decode the media of one shard: frames in one sampling, and 16 kHz mono sound."""
    input:
        script="<repo>workflow_scripts/preprocess_media.py",
        lib=code("preprocess_media"),
        media=listed,
    output:
        frames=ensure("<results>/frames/{dataset}/{sampling}/{shard}.safetensors", non_empty=True),
        table=ensure("<results>/frames/{dataset}/{sampling}/{shard}.tsv", non_empty=True),
    log:
        "<logs>/preprocess_media/{dataset}/{sampling}/{shard}.log",
    conda:
        "../envs/data.yaml"
    threads: 1  # a job of several threads waits on a small machine while jobs of one thread take every core that gets free
    resources:
        mem_mb=per_thread(3000, 1000),  # each thread holds a file's frames and sound: an hour of sound takes 750 MB
        runtime=doubling(60),
    params:
        folder=ask(Study.media_root, "dataset"),
        remedy=ask(jobs.remake_media, "dataset"),
        sampling=ask(jobs.sampling, "sampling"),
    shell:
        "python {input.script:q} --media {input.media:q} --media-root {params.folder:q} --remedy {params.remedy:q}"
        " {params.sampling} --threads {threads} --out {output.frames:q} --table {output.table:q} 2>&1 | tee {log:q}"


rule sampled_media:
    """Count how many media were sampled more coarsely to fit into a model's context, by dataset and sampling."""
    input:
        script="<repo>workflow_scripts/sampled_media.py",
        lib=code("sampled_media"),
        tables=sum(jobs.sampled(study).values(), []),
    output:
        ensure("<tables>/sampled_media.csv", non_empty=True),
    log:
        "<logs>/sampled_media.log",
    localrule: True
    conda:
        "../envs/data.yaml"
    params:
        options=jobs.sampled_media(study),
    shell:
        "python {input.script:q} {input.tables:q} {params.options} --out {output:q} > {log:q} 2>&1"
