"""The miniature's world -> files as benchmarks ship them -> normalised questions and a table of every medium."""


rule render_miniature:
    """Draw the synthetic world as clips, pictures, sounds and their question files."""
    input:
        script="workflow_scripts/render_miniature.py",
        lib=code("render_miniature"),
    output:
        video="<results>/datasets/mini-video/test.csv",
        clips=directory("<results>/datasets/mini-video/clips"),
        matching="<results>/datasets/mini-items/test.jsonl",
        media=directory("<results>/datasets/mini-items/media"),
    log:
        "<logs>/render_miniature.log",
    conda:
        "../envs/data.yaml"
    threads: 8
    params:
        video_tasks=lookup("datasets/mini-video/tasks", within=config),
        video_questions=lookup("datasets/mini-video/questions", within=config),
        item_tasks=lookup("datasets/mini-items/tasks", within=config),
        item_questions=lookup("datasets/mini-items/questions", within=config),
        seed=lookup("seed", within=config),
        folder=subpath(output.video, ancestor=2),
    shell:
        "python {input.script}"
        " --video-tasks {params.video_tasks} --video-questions {params.video_questions}"
        " --item-tasks {params.item_tasks} --item-questions {params.item_questions}"
        " --seed {params.seed} --threads {threads} --out {params.folder} 2>&1 | tee {log}"


rule prepare_mini_video:
    """Bring mini-video's questions into the shared shape and probe its clips."""
    input:
        script="workflow_scripts/prepare_mini_video.py",
        lib=code("prepare_mini_video"),
        rows="<results>/datasets/mini-video/test.csv",
        clips="<results>/datasets/mini-video/clips",
    output:
        questions=ensure("<results>/questions/mini-video.jsonl", non_empty=True),
        media=ensure("<results>/media/mini-video.tsv", non_empty=True),
    log:
        "<logs>/prepare_mini_video.log",
    conda:
        "../envs/data.yaml"
    params:
        knockout=lookup("datasets/mini-video/knockout_questions", within=config),
        folder=subpath(input.rows, parent=True),
    shell:
        "python {input.script} --benchmark {params.folder} --knockout {params.knockout}"
        " --questions {output.questions} --media {output.media} 2>&1 | tee {log}"


rule prepare_mini_items:
    """Bring mini-items' questions into the shared shape and probe its pictures and sounds."""
    input:
        script="workflow_scripts/prepare_mini_items.py",
        lib=code("prepare_mini_items"),
        rows="<results>/datasets/mini-items/test.jsonl",
        media="<results>/datasets/mini-items/media",
    output:
        questions=ensure("<results>/questions/mini-items.jsonl", non_empty=True),
        media=ensure("<results>/media/mini-items.tsv", non_empty=True),
    log:
        "<logs>/prepare_mini_items.log",
    conda:
        "../envs/data.yaml"
    params:
        knockout=lookup("datasets/mini-items/knockout_questions", within=config),
        folder=subpath(input.rows, parent=True),
    shell:
        "python {input.script} --benchmark {params.folder} --knockout {params.knockout}"
        " --questions {output.questions} --media {output.media} 2>&1 | tee {log}"
