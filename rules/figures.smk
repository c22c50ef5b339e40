"""Tidy tables -> one pdf and png a figure. Each is a target of its own: `snakemake fig4 --cores all`."""


rule fig3:
    """Figure 3: interactions among frames, among audio segments, and between sound and sight."""
    input:
        script="workflow_scripts/run_notebook.py",
        lib=notebook_code("fig3"),
        notebook="figures/fig3.ipynb",
        style="figures/style.mplstyle",
        table=knockout_table("figure_3"),
        beside=beside("video"),
    output:
        png=report(
            "<results>/figures/fig3.png", caption="../report/captions.rst", category="Figures", labels={"figure": "3"}
        ),
        pdf="<results>/figures/fig3.pdf",
    log:
        "<logs>/fig3.log",
        notebook="<logs>/fig3.ipynb",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        options=figure_options("video"),
    shell:
        "python {input.script} {input.notebook} {log.notebook} -p table {input.table} {params.options}"
        " -p pdf {output.pdf} -p png {output.png} > {log[0]} 2>&1"


rule fig4:
    """Figure 4: routes from sound and sight to the answer, for audio-visual video."""
    input:
        script="workflow_scripts/run_notebook.py",
        lib=notebook_code("fig4"),
        notebook="figures/fig4.ipynb",
        style="figures/style.mplstyle",
        table=knockout_table("figure_4"),
        beside=beside("video"),
    output:
        png=report(
            "<results>/figures/fig4.png", caption="../report/captions.rst", category="Figures", labels={"figure": "4"}
        ),
        pdf="<results>/figures/fig4.pdf",
    log:
        "<logs>/fig4.log",
        notebook="<logs>/fig4.ipynb",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        options=figure_options("video"),
    shell:
        "python {input.script} {input.notebook} {log.notebook} -p table {input.table} {params.options}"
        " -p pdf {output.pdf} -p png {output.png} > {log[0]} 2>&1"


rule fig5:
    """Figure 5: how interleaved items gather in the reference and reach the answer."""
    input:
        script="workflow_scripts/run_notebook.py",
        lib=notebook_code("fig5"),
        notebook="figures/fig5.ipynb",
        style="figures/style.mplstyle",
        table=knockout_table("figure_5"),
        beside=beside("items"),
    output:
        png=report(
            "<results>/figures/fig5.png", caption="../report/captions.rst", category="Figures", labels={"figure": "5"}
        ),
        pdf="<results>/figures/fig5.pdf",
    log:
        "<logs>/fig5.log",
        notebook="<logs>/fig5.ipynb",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        options=figure_options("items"),
    shell:
        "python {input.script} {input.notebook} {log.notebook} -p table {input.table} {params.options}"
        " -p pdf {output.pdf} -p png {output.png} > {log[0]} 2>&1"


rule fig6:
    """Figure 6: how the answer is selected among interleaved items."""
    input:
        script="workflow_scripts/run_notebook.py",
        lib=notebook_code("fig6"),
        notebook="figures/fig6.ipynb",
        style="figures/style.mplstyle",
        table=knockout_table("figure_6"),
        beside=beside("items"),
    output:
        png=report(
            "<results>/figures/fig6.png", caption="../report/captions.rst", category="Figures", labels={"figure": "6"}
        ),
        pdf="<results>/figures/fig6.pdf",
    log:
        "<logs>/fig6.log",
        notebook="<logs>/fig6.ipynb",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        options=figure_options("items"),
    shell:
        "python {input.script} {input.notebook} {log.notebook} -p table {input.table} {params.options}"
        " -p pdf {output.pdf} -p png {output.png} > {log[0]} 2>&1"


rule tab2:
    """Table 2: the tasks of audio-visual video, how many questions each has and how many are answered, with an example."""
    input:
        script="workflow_scripts/task_table.py",
        lib=code("task_table"),
        questions=f"<results>/questions/{STUDY['video']}.jsonl",
        dropped=f"<results>/questions/{STUDY['video']}.dropped.tsv",
        evaluated="<tables>/evaluate.parquet",
        published="resources/published/tasks.csv",
    output:
        csv="<tables>/tab2.csv",
        tex="<tables>/tab2.tex",
    log:
        "<logs>/tab2.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    shell:
        "python {input.script} --questions {input.questions} --dropped {input.dropped} --evaluated {input.evaluated}"
        " --published {input.published} --csv {output.csv} --tex {output.tex} > {log} 2>&1"


rule tab3:
    """Table 3: the tasks of interleaved items, how many questions each has and how many are answered, with an example."""
    input:
        script="workflow_scripts/task_table.py",
        lib=code("task_table"),
        questions=f"<results>/questions/{STUDY['items']}.jsonl",
        dropped=f"<results>/questions/{STUDY['items']}.dropped.tsv",
        evaluated="<tables>/evaluate.parquet",
        published="resources/published/tasks.csv",
    output:
        csv="<tables>/tab3.csv",
        tex="<tables>/tab3.tex",
    log:
        "<logs>/tab3.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    shell:
        "python {input.script} --questions {input.questions} --dropped {input.dropped} --evaluated {input.evaluated}"
        " --published {input.published} --csv {output.csv} --tex {output.tex} > {log} 2>&1"


rule tab4:
    """Table 4: accuracy when tokens are discarded once they have been read, its change with an interval, and what is saved."""
    input:
        script="workflow_scripts/table_4.py",
        lib=code("table_4"),
        pruning="<tables>/pruning.parquet",
        layers=expand("<results>/discard_layers/{model}.json", model=MODELS),
        published="resources/published/table_4.csv",
    output:
        table_4("csv"),
        table_4("tex"),
    log:
        "<logs>/tab4.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        options=table_4_options(),
    shell:
        "python {input.script} --pruning {input.pruning} --layers {input.layers} --published {input.published}"
        " {params.options} > {log} 2>&1"


rule app_window:
    """Appendix E: the routes of Figure 4 by the width of the window."""
    input:
        script="workflow_scripts/run_notebook.py",
        lib=notebook_code("app_window"),
        notebook="figures/app_window.ipynb",
        style="figures/style.mplstyle",
        table=knockout_table("windows"),
        beside=beside("video"),
    output:
        png=report(
            "<results>/figures/app_window.png",
            caption="../report/captions.rst",
            category="Appendix",
            labels={"figure": "window"},
        ),
        pdf="<results>/figures/app_window.pdf",
    log:
        "<logs>/app_window.log",
        notebook="<logs>/app_window.ipynb",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        options=as_parameters({"models": MODELS, "dataset": STUDY["video"], "reading": reading("video")}),
    shell:
        "python {input.script} {input.notebook} {log.notebook} -p table {input.table} {params.options}"
        " -p pdf {output.pdf} -p png {output.png} > {log[0]} 2>&1"


rule app_order:
    """Appendix D.3.1: the routes when the parts of the prompt stand in another order."""
    input:
        script="workflow_scripts/run_notebook.py",
        lib=notebook_code("app_order"),
        notebook="figures/app_order.ipynb",
        style="figures/style.mplstyle",
        tables=drawn_tables("order_items", "order_video"),
    output:
        png=report(
            "<results>/figures/app_order.png",
            caption="../report/captions.rst",
            category="Appendix",
            labels={"figure": "order"},
        ),
        pdf="<results>/figures/app_order.pdf",
        csv="<tables>/app_order.csv",
    log:
        "<logs>/app_order.log",
        notebook="<logs>/app_order.ipynb",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        options=order_options(),
    shell:
        "python {input.script} {input.notebook} {log.notebook} {params.options}"
        " -p pdf {output.pdf} -p png {output.png} -p csv {output.csv} > {log[0]} 2>&1"


rule app_baseline:
    """Accuracy of every task before anything is cut, beside chance and what is published; what was dropped on the way."""
    input:
        script="workflow_scripts/run_notebook.py",
        lib=notebook_code("app_baseline"),
        notebook="figures/app_baseline.ipynb",
        style="figures/style.mplstyle",
        table="<drawn>/evaluate.parquet",
        dropped=[drawn(f"questions/{dataset}.dropped.tsv") for dataset in DATASETS],
        published="resources/published/accuracy.csv",
    output:
        png=report(
            "<results>/figures/app_baseline.png",
            caption="../report/captions.rst",
            category="Appendix",
            labels={"figure": "baseline"},
        ),
        pdf="<results>/figures/app_baseline.pdf",
        csv="<tables>/app_baseline.csv",
        drops="<tables>/dropped.csv",
    log:
        "<logs>/app_baseline.log",
        notebook="<logs>/app_baseline.ipynb",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        draws=lookup("figures/bootstrap", within=config),
        seed=lookup("seed", within=config),
    shell:
        "python {input.script} {input.notebook} {log.notebook} -p table {input.table} -p dropped '{input.dropped}'"
        " -p published {input.published} -p draws {params.draws} -p seed {params.seed}"
        " -p pdf {output.pdf} -p png {output.png} -p csv {output.csv} -p drops {output.drops} > {log[0]} 2>&1"


rule app_reliance:
    """What answers rest on: accuracy without a sense or with another clip's sound, beside the effect of each sense's route."""
    input:
        script="workflow_scripts/run_notebook.py",
        lib=notebook_code("app_reliance"),
        notebook="figures/app_reliance.ipynb",
        style="figures/style.mplstyle",
        table="<drawn>/reliance.parquet",
        evaluated="<drawn>/evaluate.parquet",
        knockouts=drawn_tables("figure_4", "graded"),
    output:
        png=report(
            "<results>/figures/app_reliance.png",
            caption="../report/captions.rst",
            category="Appendix",
            labels={"figure": "reliance"},
        ),
        pdf="<results>/figures/app_reliance.pdf",
        csv="<tables>/app_reliance.csv",
        areas="<tables>/app_reliance_areas.csv",
    log:
        "<logs>/app_reliance.log",
        notebook="<logs>/app_reliance.ipynb",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        options=reliance_options(),
    shell:
        "python {input.script} {input.notebook} {log.notebook} -p table {input.table} -p evaluated {input.evaluated}"
        " {params.options} -p pdf {output.pdf} -p png {output.png} -p csv {output.csv} -p areas {output.areas} > {log[0]} 2>&1"


rule app_discard_layers:
    """Accuracy by the layer after which each kind of token is discarded, beside as many random tokens."""
    input:
        script="workflow_scripts/run_notebook.py",
        lib=notebook_code("app_discard_layers"),
        notebook="figures/app_discard_layers.ipynb",
        style="figures/style.mplstyle",
        table="<drawn>/discard_sweep.parquet",
    output:
        png=report(
            "<results>/figures/app_discard_layers.png",
            caption="../report/captions.rst",
            category="Appendix",
            labels={"figure": "discard layers"},
        ),
        pdf="<results>/figures/app_discard_layers.pdf",
        csv="<tables>/app_discard_layers.csv",
    log:
        "<logs>/app_discard_layers.log",
        notebook="<logs>/app_discard_layers.ipynb",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        options=pruning_options(),
    shell:
        "python {input.script} {input.notebook} {log.notebook} -p table {input.table} {params.options}"
        " -p pdf {output.pdf} -p png {output.png} -p csv {output.csv} > {log[0]} 2>&1"


rule app_pareto:
    """Accuracy against operations saved: our discards, random ones, and two published ways."""
    input:
        script="workflow_scripts/run_notebook.py",
        lib=notebook_code("app_pareto"),
        notebook="figures/app_pareto.ipynb",
        style="figures/style.mplstyle",
        table="<drawn>/pruning.parquet",
    output:
        png=report(
            "<results>/figures/app_pareto.png",
            caption="../report/captions.rst",
            category="Appendix",
            labels={"figure": "pareto"},
        ),
        pdf="<results>/figures/app_pareto.pdf",
        csv="<tables>/app_pareto.csv",
    log:
        "<logs>/app_pareto.log",
        notebook="<logs>/app_pareto.ipynb",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        options=pruning_options(),
    shell:
        "python {input.script} {input.notebook} {log.notebook} -p table {input.table} {params.options}"
        " -p pdf {output.pdf} -p png {output.png} -p csv {output.csv} > {log[0]} 2>&1"


rule app_training:
    """How the tiny models learned their tasks, from the logs beside their checkpoints."""
    input:
        script="workflow_scripts/run_notebook.py",
        lib=notebook_code("app_training"),
        notebook="figures/app_training.ipynb",
        style="figures/style.mplstyle",
        training=list(training_logs().values()),
    output:
        png=report(
            "<results>/figures/app_training.png",
            caption="../report/captions.rst",
            category="Appendix",
            labels={"figure": "training"},
        ),
        pdf="<results>/figures/app_training.pdf",
    log:
        "<logs>/app_training.log",
        notebook="<logs>/app_training.ipynb",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        options=as_parameters({"logs": training_logs()}),
    shell:
        "python {input.script} {input.notebook} {log.notebook} {params.options}"
        " -p pdf {output.pdf} -p png {output.png} > {log[0]} 2>&1"


rule app_world:
    """The miniature's world: a clip with the questions about it, and a matching question."""
    input:
        script="workflow_scripts/run_notebook.py",
        lib=notebook_code("app_world"),
        notebook="figures/app_world.ipynb",
        style="figures/style.mplstyle",
        video_questions=drawn("questions/mini-video.jsonl"),
        item_questions=drawn("questions/mini-items.jsonl"),
        video_frames=drawn(first_frames("mini-video")),
        item_frames=drawn(first_frames("mini-items")),
    output:
        png=report(
            "<results>/figures/app_world.png",
            caption="../report/captions.rst",
            category="Appendix",
            labels={"figure": "world"},
        ),
        pdf="<results>/figures/app_world.pdf",
    log:
        "<logs>/app_world.log",
        notebook="<logs>/app_world.ipynb",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        shards=lookup("datasets/mini-video/shards", within=config),
        item_shards=lookup("datasets/mini-items/shards", within=config),
    shell:
        "python {input.script} {input.notebook} {log.notebook} -p video_questions {input.video_questions}"
        " -p item_questions {input.item_questions} -p video_frames {input.video_frames} -p item_frames {input.item_frames}"
        " -p shards {params.shards} -p item_shards {params.item_shards}"
        " -p pdf {output.pdf} -p png {output.png} > {log[0]} 2>&1"


rule fig1:
    """Figure 1: where the last token looks, layer by layer, and attention maps of one question."""
    input:
        script="workflow_scripts/run_notebook.py",
        lib=notebook_code("fig1"),
        notebook="figures/fig1.ipynb",
        style="figures/style.mplstyle",
        table="<drawn>/attention.parquet",
    output:
        png=report(
            "<results>/figures/fig1.png", caption="../report/captions.rst", category="Figures", labels={"figure": "1"}
        ),
        pdf="<results>/figures/fig1.pdf",
        csv="<tables>/fig1.csv",
    log:
        "<logs>/fig1.log",
        notebook="<logs>/fig1.ipynb",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        options=map_options(),
    shell:
        "python {input.script} {input.notebook} {log.notebook} -p table {input.table} {params.options}"
        " -p pdf {output.pdf} -p png {output.png} -p csv {output.csv} > {log[0]} 2>&1"


rule fig2:
    """Figure 2: L2 norms by position, activations by hidden dimension, and the tokens and dimensions that are sinks."""
    input:
        script="workflow_scripts/run_notebook.py",
        lib=notebook_code("fig2"),
        notebook="figures/fig2.ipynb",
        style="figures/style.mplstyle",
        table="<drawn>/attention.parquet",
    output:
        png=report(
            "<results>/figures/fig2.png", caption="../report/captions.rst", category="Figures", labels={"figure": "2"}
        ),
        pdf="<results>/figures/fig2.pdf",
        csv="<tables>/fig2.csv",
    log:
        "<logs>/fig2.log",
        notebook="<logs>/fig2.ipynb",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        options=map_options(),
    shell:
        "python {input.script} {input.notebook} {log.notebook} -p table {input.table} {params.options}"
        " -p pdf {output.pdf} -p png {output.png} -p csv {output.csv} > {log[0]} 2>&1"


rule tab1:
    """Table 1: accuracy with attention to video, or to video and sound, masked in the last layers."""
    input:
        script="workflow_scripts/table_1.py",
        lib=code("table_1"),
        attention="<tables>/attention.parquet",
        published="resources/published/masking.csv",
    output:
        csv="<tables>/tab1.csv",
        tex="<tables>/tab1.tex",
    log:
        "<logs>/tab1.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        dataset=STUDY["video"],
        draws=lookup("figures/bootstrap", within=config),
        seed=lookup("seed", within=config),
    shell:
        "python {input.script} --attention {input.attention} --dataset {params.dataset} --published {input.published}"
        " --draws {params.draws} --seed {params.seed} --csv {output.csv} --tex {output.tex} > {log} 2>&1"


rule app_answer_probability:
    """What each layer would answer: probability of the correct and the wrong options by layer."""
    input:
        script="workflow_scripts/run_notebook.py",
        lib=notebook_code("app_answer_probability"),
        notebook="figures/app_answer_probability.ipynb",
        style="figures/style.mplstyle",
        table="<drawn>/attention.parquet",
    output:
        png=report(
            "<results>/figures/app_answer_probability.png",
            caption="../report/captions.rst",
            category="Appendix",
            labels={"figure": "answer probability"},
        ),
        pdf="<results>/figures/app_answer_probability.pdf",
        csv="<tables>/app_answer_probability.csv",
    log:
        "<logs>/app_answer_probability.log",
        notebook="<logs>/app_answer_probability.ipynb",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        options=as_parameters({"models": windows_of_models(), "datasets": ATTENDED, **drawing()}),
    shell:
        "python {input.script} {input.notebook} {log.notebook} -p table {input.table} {params.options}"
        " -p pdf {output.pdf} -p png {output.png} -p csv {output.csv} > {log[0]} 2>&1"


rule app_attention_change:
    """Attention maps with and without a cut, and where the question and the last token look then."""
    input:
        script="workflow_scripts/run_notebook.py",
        lib=notebook_code("app_attention_change"),
        notebook="figures/app_attention_change.ipynb",
        style="figures/style.mplstyle",
        table="<drawn>/attention.parquet",
    output:
        png=report(
            "<results>/figures/app_attention_change.png",
            caption="../report/captions.rst",
            category="Appendix",
            labels={"figure": "attention change"},
        ),
        pdf="<results>/figures/app_attention_change.pdf",
        csv="<tables>/app_attention_change.csv",
    log:
        "<logs>/app_attention_change.log",
        notebook="<logs>/app_attention_change.ipynb",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        options=attention_options(**config["attention"]["change"]),
    shell:
        "python {input.script} {input.notebook} {log.notebook} -p table {input.table} {params.options}"
        " -p pdf {output.pdf} -p png {output.png} -p csv {output.csv} > {log[0]} 2>&1"


rule app_options:
    """Which part of the question speaks to the last token, and what the correct option reads."""
    input:
        script="workflow_scripts/run_notebook.py",
        lib=notebook_code("app_options"),
        notebook="figures/app_options.ipynb",
        style="figures/style.mplstyle",
        table=knockout_table("options"),
        beside=beside("video"),
    output:
        png=report(
            "<results>/figures/app_options.png",
            caption="../report/captions.rst",
            category="Appendix",
            labels={"figure": "options"},
        ),
        pdf="<results>/figures/app_options.pdf",
    log:
        "<logs>/app_options.log",
        notebook="<logs>/app_options.ipynb",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        options=figure_options("video"),
    shell:
        "python {input.script} {input.notebook} {log.notebook} -p table {input.table} {params.options}"
        " -p pdf {output.pdf} -p png {output.png} > {log[0]} 2>&1"


rule app_cumulative:
    """Accuracy when a route is cut in all layers up to one, in all from one on, and in either half."""
    input:
        script="workflow_scripts/run_notebook.py",
        lib=notebook_code("app_cumulative"),
        notebook="figures/app_cumulative.ipynb",
        style="figures/style.mplstyle",
        table=knockout_table("cumulative"),
    output:
        png=report(
            "<results>/figures/app_cumulative.png",
            caption="../report/captions.rst",
            category="Appendix",
            labels={"figure": "cumulative"},
        ),
        pdf="<results>/figures/app_cumulative.pdf",
        csv="<tables>/app_cumulative.csv",
    log:
        "<logs>/app_cumulative.log",
        notebook="<logs>/app_cumulative.ipynb",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        options=figure_options("video"),
    shell:
        "python {input.script} {input.notebook} {log.notebook} -p table {input.table} {params.options}"
        " -p pdf {output.pdf} -p png {output.png} -p csv {output.csv} > {log[0]} 2>&1"


rule app_sufficiency:
    """Accuracy when only the found routes are open, against as many random edges."""
    input:
        script="workflow_scripts/run_notebook.py",
        lib=notebook_code("app_sufficiency"),
        notebook="figures/app_sufficiency.ipynb",
        style="figures/style.mplstyle",
        table="<drawn>/sufficiency.parquet",
    output:
        png=report(
            "<results>/figures/app_sufficiency.png",
            caption="../report/captions.rst",
            category="Appendix",
            labels={"figure": "sufficiency"},
        ),
        pdf="<results>/figures/app_sufficiency.pdf",
        csv="<tables>/app_sufficiency.csv",
    log:
        "<logs>/app_sufficiency.log",
        notebook="<logs>/app_sufficiency.ipynb",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        options=figure_options("video"),
    shell:
        "python {input.script} {input.notebook} {log.notebook} -p table {input.table} {params.options}"
        " -p pdf {output.pdf} -p png {output.png} -p csv {output.csv} > {log[0]} 2>&1"


rule app_failed:
    """Where wrong answers come from: their own probability when a route is cut."""
    input:
        script="workflow_scripts/run_notebook.py",
        lib=notebook_code("app_failed"),
        notebook="figures/app_failed.ipynb",
        style="figures/style.mplstyle",
        table=knockout_table("failed"),
        beside=beside("video"),
    output:
        png=report(
            "<results>/figures/app_failed.png",
            caption="../report/captions.rst",
            category="Appendix",
            labels={"figure": "failed"},
        ),
        pdf="<results>/figures/app_failed.pdf",
    log:
        "<logs>/app_failed.log",
        notebook="<logs>/app_failed.ipynb",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        options=figure_options("video"),
    shell:
        "python {input.script} {input.notebook} {log.notebook} -p table {input.table} {params.options}"
        " -p pdf {output.pdf} -p png {output.png} > {log[0]} 2>&1"


rule app_tasks:
    """Appendix F: every main figure of the main model by task."""
    input:
        script="workflow_scripts/run_notebook.py",
        lib=notebook_code("app_tasks"),
        notebook="figures/app_tasks.ipynb",
        style="figures/style.mplstyle",
        attention="<drawn>/attention.parquet",
        tables=drawn_tables(*FIGURES["app_tasks"]),
        beside=beside("video", "items"),
    output:
        png=report(
            "<results>/figures/app_tasks.png",
            caption="../report/captions.rst",
            category="Appendix",
            labels={"figure": "tasks"},
        ),
        pdf="<results>/figures/app_tasks.pdf",
    log:
        "<logs>/app_tasks.log",
        notebook="<logs>/app_tasks.ipynb",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        options=overview_options(model=STUDY["main_model"]),
    shell:
        "python {input.script} {input.notebook} {log.notebook} -p attention {input.attention} {params.options}"
        " -p pdf {output.pdf} -p png {output.png} > {log[0]} 2>&1"


rule app_models:
    """Appendices G to I: every main figure by model, and all models on one normalised depth."""
    input:
        script="workflow_scripts/run_notebook.py",
        lib=notebook_code("app_models"),
        notebook="figures/app_models.ipynb",
        style="figures/style.mplstyle",
        attention="<drawn>/attention.parquet",
        tables=drawn_tables(*FIGURES["app_models"]),
        beside=beside("video", "items"),
    output:
        png=report(
            "<results>/figures/app_models.png",
            caption="../report/captions.rst",
            category="Appendix",
            labels={"figure": "models"},
        ),
        pdf="<results>/figures/app_models.pdf",
        csv="<tables>/app_models.csv",
    log:
        "<logs>/app_models.log",
        notebook="<logs>/app_models.ipynb",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        options=overview_options(),
    shell:
        "python {input.script} {input.notebook} {log.notebook} -p attention {input.attention} {params.options}"
        " -p pdf {output.pdf} -p png {output.png} -p csv {output.csv} > {log[0]} 2>&1"


rule tables:
    """Every table: those of the paper, and those of answers and knockouts, also where no figure reads them."""
    input:
        [] if PUBLISHED else every_table(),
    localrule: True


rule figures:
    """Every figure that the study's datasets and models have."""
    input:
        expand("<results>/figures/{name}.{kind}", name=drawable(), kind=["pdf", "png"]),
    localrule: True
