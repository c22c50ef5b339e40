"""The miniature's world -> files as benchmarks ship them -> normalised questions and a table of every medium."""


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
        dataset=MINIATURE,
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
        media=ensure("<results>/media/{dataset}.tsv", non_empty=True),
    log:
        "<logs>/prepare_miniature/{dataset}.log",
    wildcard_constraints:
        dataset=MINIATURE,
    conda:
        "../envs/data.yaml"
    params:
        setting=of_dataset("setting"),
        knockout=of_dataset("knockout_questions"),
        folder=subpath(input.rows, parent=True),
    shell:
        "python {input.script} --dataset {wildcards.dataset} --setting {params.setting} --folder {params.folder}"
        " --knockout {params.knockout} --questions {output.questions} --media {output.media} 2>&1 | tee {log}"
