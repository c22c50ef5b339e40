"""Bring questions into one shape and probe their media. The miniature's files are drawn first."""

of_type = lambda *types: "|".join(study.datasets_of_type(*types)) or "(?!)"  # no datasets: match nothing


rule render_miniature:
    """Draw one dataset of the synthetic world: clips, or pictures and sounds, and the question file."""
    input:
        script="<repo>workflow_scripts/render_miniature.py",
        lib=code("render_miniature"),
    output:
        rows=ensure("<results>/datasets/{dataset}/test.csv", non_empty=True),
        media=directory("<results>/datasets/{dataset}/media"),
    log:
        "<logs>/render_miniature/{dataset}.log",
    wildcard_constraints:
        dataset=of_type("miniature"),
    conda:
        "../envs/data.yaml"
    threads: 8
    params:
        setting=of_dataset("setting"),
        tasks=of_dataset("tasks"),
        questions=of_dataset("questions"),
        seed=lookup("seed", within=config),
        folder=subpath(output.rows, parent=True),
    shell:
        "python {input.script:q} --dataset {wildcards.dataset:q} --setting {params.setting} --tasks {params.tasks}"
        " --questions {params.questions} --seed {params.seed} --threads {threads} --out {params.folder:q} 2>&1 | tee {log:q}"


rule prepare:
    """Bring the questions of a local dataset, the miniature's or your own, into the shared shape, and probe their media."""
    input:
        script="<repo>workflow_scripts/prepare.py",
        lib=reader_code,
        rows=ask(Study.questions_file, "dataset"),
        media=media_folder,
    output:
        questions=ensure("<results>/questions/{dataset}.jsonl", non_empty=True),
        dropped=ensure("<results>/questions/{dataset}.dropped.tsv", non_empty=True),
        media=ensure("<results>/media/{dataset}.tsv", non_empty=True),
    log:
        "<logs>/prepare/{dataset}.log",
    wildcard_constraints:
        dataset=of_type(*readers.ON_DISK),
    conda:
        "../envs/data.yaml"
    threads: lambda wildcards: 1 if study.dataset(wildcards.dataset)["type"] == "miniature" else 16  # its short clips keep Python busy
    resources:
        mem_mb=per_thread(2000, 500),  # each thread decodes a video or a picture; sound is not kept
    params:
        options=ask(jobs.prepare, "dataset"),
        root=ask(Study.media_root, "dataset"),
        told=told,
    shell:
        "python {input.script:q} --dataset {wildcards.dataset:q} {params.options} --questions-file {input.rows:q}"
        " --root {params.root:q} --told={params.told:q} --threads {threads} --questions {output.questions:q}"
        " --media {output.media:q} --dropped {output.dropped:q} 2>&1 | tee {log:q}"


rule prepare_benchmark:
    """Bring a benchmark's questions into the shared shape, unpack the media in use, and probe them."""
    input:
        script="<repo>workflow_scripts/prepare.py",
        lib=reader_code,
        manifest="<downloads>/datasets/{dataset}/manifest.json",
    output:
        questions=ensure("<results>/questions/{dataset}.jsonl", non_empty=True),
        dropped=ensure("<results>/questions/{dataset}.dropped.tsv", non_empty=True),
        media=ensure("<results>/media/{dataset}.tsv", non_empty=True),
        files=directory("<results>/datasets/{dataset}/media"),
    log:
        "<logs>/prepare_benchmark/{dataset}.log",
    wildcard_constraints:
        dataset=of_type(*(kind for kind in readers.MODULES if kind not in readers.ON_DISK)),
    conda:
        "../envs/data.yaml"
    threads: 16
    resources:
        mem_mb=per_thread(3000, 500),  # as above, and a column of a parquet file
        runtime=doubling(240),
    params:
        options=ask(jobs.prepare, "dataset"),
        folder=subpath(input.manifest, parent=True),
        root=subpath(output.files, parent=True),
    shell:
        "python {input.script:q} --dataset {wildcards.dataset:q} {params.options} --folder {params.folder:q}"
        " --root {params.root:q} --threads {threads} --questions {output.questions:q} --media {output.media:q}"
        " --dropped {output.dropped:q} 2>&1 | tee {log:q}"
