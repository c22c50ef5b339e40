"""Files as benchmarks ship them, the miniature's drawn by us -> normalised questions and a table of every medium."""


rule render_miniature:
    """Draw one dataset of the synthetic world: clips or pictures and sounds, and their question file."""
    input:
        script="workflow_scripts/render_miniature.py",
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
        "python {input.script} --dataset {wildcards.dataset} --setting {params.setting} --tasks {params.tasks}"
        " --questions {params.questions} --seed {params.seed} --threads {threads} --out {params.folder} 2>&1 | tee {log}"


rule prepare_miniature:
    """Bring a rendered dataset's questions into the shared shape and probe its media."""
    input:
        script="workflow_scripts/prepare_miniature.py",
        lib=code("prepare_miniature"),
        rows="<results>/datasets/{dataset}/test.csv",
        media="<results>/datasets/{dataset}/media",
    output:
        questions=ensure("<results>/questions/{dataset}.jsonl", non_empty=True),
        dropped=ensure("<results>/questions/{dataset}.dropped.tsv", non_empty=True),
        media=ensure("<results>/media/{dataset}.tsv", non_empty=True),
    log:
        "<logs>/prepare_miniature/{dataset}.log",
    wildcard_constraints:
        dataset=of_type("miniature"),
    conda:
        "../envs/data.yaml"
    threads: 16
    params:
        options=dataset_options,
        folder=subpath(input.rows, parent=True),
    shell:
        "python {input.script} --dataset {wildcards.dataset} {params.options} --folder {params.folder} --root {params.folder}"
        " --threads {threads} --questions {output.questions} --media {output.media} --dropped {output.dropped} 2>&1 | tee {log}"


rule prepare_av_speakerbench:
    """Bring AV-SpeakerBench's questions into the shared shape, put the clips in use in place and probe them."""
    input:
        script="workflow_scripts/prepare_av_speakerbench.py",
        lib=code("prepare_av_speakerbench"),
        manifest="<downloads>/datasets/{dataset}/manifest.json",
    output:
        questions=ensure("<results>/questions/{dataset}.jsonl", non_empty=True),
        dropped=ensure("<results>/questions/{dataset}.dropped.tsv", non_empty=True),
        media=ensure("<results>/media/{dataset}.tsv", non_empty=True),
        files=directory("<results>/datasets/{dataset}/media"),
    log:
        "<logs>/prepare_av_speakerbench/{dataset}.log",
    wildcard_constraints:
        dataset=of_type("av_speakerbench"),
    conda:
        "../envs/data.yaml"
    threads: 16
    resources:
        mem_mb=doubling(8000),
        runtime=doubling(240),
    params:
        options=dataset_options,
        folder=subpath(input.manifest, parent=True),
        root=subpath(output.files, parent=True),
    shell:
        "python {input.script} --dataset {wildcards.dataset} {params.options} --folder {params.folder} --root {params.root}"
        " --threads {threads} --questions {output.questions} --media {output.media} --dropped {output.dropped} 2>&1 | tee {log}"


rule prepare_av_odyssey:
    """Bring AV-Odyssey's questions into the shared shape, put the pictures and sounds in use in place and probe them."""
    input:
        script="workflow_scripts/prepare_av_odyssey.py",
        lib=code("prepare_av_odyssey"),
        manifest="<downloads>/datasets/{dataset}/manifest.json",
    output:
        questions=ensure("<results>/questions/{dataset}.jsonl", non_empty=True),
        dropped=ensure("<results>/questions/{dataset}.dropped.tsv", non_empty=True),
        media=ensure("<results>/media/{dataset}.tsv", non_empty=True),
        files=directory("<results>/datasets/{dataset}/media"),
    log:
        "<logs>/prepare_av_odyssey/{dataset}.log",
    wildcard_constraints:
        dataset=of_type("av_odyssey"),
    conda:
        "../envs/data.yaml"
    threads: 16
    resources:
        mem_mb=doubling(8000),
        runtime=doubling(240),
    params:
        options=dataset_options,
        folder=subpath(input.manifest, parent=True),
        root=subpath(output.files, parent=True),
    shell:
        "python {input.script} --dataset {wildcards.dataset} {params.options} --folder {params.folder} --root {params.root}"
        " --threads {threads} --questions {output.questions} --media {output.media} --dropped {output.dropped} 2>&1 | tee {log}"


rule prepare_worldsense:
    """Bring WorldSense's questions into the shared shape, put the videos in use in place and probe them."""
    input:
        script="workflow_scripts/prepare_worldsense.py",
        lib=code("prepare_worldsense"),
        manifest="<downloads>/datasets/{dataset}/manifest.json",
    output:
        questions=ensure("<results>/questions/{dataset}.jsonl", non_empty=True),
        dropped=ensure("<results>/questions/{dataset}.dropped.tsv", non_empty=True),
        media=ensure("<results>/media/{dataset}.tsv", non_empty=True),
        files=directory("<results>/datasets/{dataset}/media"),
    log:
        "<logs>/prepare_worldsense/{dataset}.log",
    wildcard_constraints:
        dataset=of_type("worldsense"),
    conda:
        "../envs/data.yaml"
    threads: 16
    resources:
        mem_mb=doubling(8000),
        runtime=doubling(240),
    params:
        options=dataset_options,
        folder=subpath(input.manifest, parent=True),
        root=subpath(output.files, parent=True),
    shell:
        "python {input.script} --dataset {wildcards.dataset} {params.options} --folder {params.folder} --root {params.root}"
        " --threads {threads} --questions {output.questions} --media {output.media} --dropped {output.dropped} 2>&1 | tee {log}"


rule prepare_questions:
    """Check your own questions, fill in what they leave out, and probe their media."""
    input:
        script="workflow_scripts/prepare_questions.py",
        lib=code("prepare_questions"),
        rows=of_dataset("questions_file"),
        media=of_dataset("media_folder"),
    output:
        questions=ensure("<results>/questions/{dataset}.jsonl", non_empty=True),
        dropped=ensure("<results>/questions/{dataset}.dropped.tsv", non_empty=True),
        media=ensure("<results>/media/{dataset}.tsv", non_empty=True),
    log:
        "<logs>/prepare_questions/{dataset}.log",
    wildcard_constraints:
        dataset=of_type("questions"),
    conda:
        "../envs/data.yaml"
    threads: 16
    params:
        options=dataset_options,
    shell:
        "python {input.script} --dataset {wildcards.dataset} {params.options} --questions-file {input.rows} --root {input.media}"
        " --threads {threads} --questions {output.questions} --media {output.media} --dropped {output.dropped} 2>&1 | tee {log}"
