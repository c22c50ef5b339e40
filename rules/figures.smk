"""Draw each figure as pdf and png from the tidy tables. Each figure is a target: `snakemake fig4 --cores all`.

workflow_scripts/avflow/figure_table.py has one entry per figure, with its inputs and parameters. This file has the rules that run
a notebook, which differ in the tables it also writes, and one target per figure.
"""

figure_code = lambda wildcards: notebook_code(wildcards.figure)
figure_section = lambda wildcards: figure_table.FIGURES[wildcards.figure].category
figure_label = lambda wildcards: {"figure": figure_table.FIGURES[wildcards.figure].label}


rule figure:
    """Draw a figure from its notebook."""
    input:
        script="<repo>workflow_scripts/run_notebook.py",
        lib=figure_code,
        notebook="<repo>figures/{figure}.ipynb",
        style="<repo>figures/style.mplstyle",
        files=lambda wildcards: settled(one_line(figure_table.inputs, study, wildcards.figure)),
    output:
        png=report(
            "<results>/figures/{figure}.png",
            caption="../report/captions.rst",
            category=figure_section,
            labels=figure_label,
        ),
        pdf="<results>/figures/{figure}.pdf",
    log:
        "<logs>/{figure}.log",
        notebook="<logs>/{figure}.ipynb",
    wildcard_constraints:
        figure="|".join(figure_table.named()),
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        told=ask(jobs.notebook, "figure"),
    shell:
        "python {input.script:q} {input.notebook:q} {log.notebook:q} {params.told}"
        " -o pdf {output.pdf:q} -o png {output.png:q} > {log[0]:q} 2>&1"
        " && echo drawn: {output.png:q} >&2"


rule figure_with_csv:
    """Draw a figure from its notebook, and write its numbers as csv."""
    input:
        script="<repo>workflow_scripts/run_notebook.py",
        lib=figure_code,
        notebook="<repo>figures/{figure}.ipynb",
        style="<repo>figures/style.mplstyle",
        files=lambda wildcards: settled(one_line(figure_table.inputs, study, wildcards.figure)),
    output:
        png=report(
            "<results>/figures/{figure}.png",
            caption="../report/captions.rst",
            category=figure_section,
            labels=figure_label,
        ),
        pdf="<results>/figures/{figure}.pdf",
        csv="<tables>/{figure}.csv",
    log:
        "<logs>/{figure}.log",
        notebook="<logs>/{figure}.ipynb",
    wildcard_constraints:
        figure="|".join(figure_table.named("csv")),
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        told=ask(jobs.notebook, "figure"),
    shell:
        "python {input.script:q} {input.notebook:q} {log.notebook:q} {params.told}"
        " -o pdf {output.pdf:q} -o png {output.png:q} -o csv {output.csv:q} > {log[0]:q} 2>&1"
        " && echo drawn: {output.png:q} >&2"


rule fig1:
    """Figure 1: where the last token looks, layer by layer, and one question's attention maps with sink tokens marked."""
    input:
        multiext("<results>/figures/fig1", ".pdf", ".png"),
    localrule: True


rule fig2:
    """Figure 2: L2 norms by position, activations by hidden dimension, sink tokens and dimensions."""
    input:
        multiext("<results>/figures/fig2", ".pdf", ".png"),
    localrule: True


rule fig3:
    """Figure 3: interactions among frames, among audio segments, and between sound and sight."""
    input:
        multiext("<results>/figures/fig3", ".pdf", ".png"),
    localrule: True


rule fig4:
    """Figure 4: routes from video and audio through the question, options included, to the last token, in audio-visual video.

    Which part of the question reaches the last token is shown by app_options.
    """
    input:
        multiext("<results>/figures/fig4", ".pdf", ".png"),
    localrule: True


rule fig5:
    """Figure 5: how candidates gather in the reference, and what reaches the last token, in interleaved items."""
    input:
        multiext("<results>/figures/fig5", ".pdf", ".png"),
    localrule: True


rule fig6:
    """Figure 6: what selects the answer option in interleaved items."""
    input:
        multiext("<results>/figures/fig6", ".pdf", ".png"),
    localrule: True


rule app_window:
    """Appendix E: Figure 4's routes by window width."""
    input:
        multiext("<results>/figures/app_window", ".pdf", ".png"),
    localrule: True


rule app_order:
    """Appendix D.3.1: the routes when the prompt's parts stand in another order."""
    input:
        multiext("<results>/figures/app_order", ".pdf", ".png"),
    localrule: True


rule app_tasks:
    """Appendix F: every main figure of the main model by task."""
    input:
        multiext("<results>/figures/app_tasks", ".pdf", ".png"),
    localrule: True


rule app_models:
    """Appendices G to I: every main figure by model, and all models on one normalised depth."""
    input:
        multiext("<results>/figures/app_models", ".pdf", ".png"),
    localrule: True


rule app_baseline:
    """Accuracy of every task before anything is cut, beside chance and published values; what was dropped."""
    input:
        script="<repo>workflow_scripts/run_notebook.py",
        lib=notebook_code("app_baseline"),
        notebook="<repo>figures/app_baseline.ipynb",
        style="<repo>figures/style.mplstyle",
        files=lambda wildcards: settled(one_line(figure_table.inputs, study, "app_baseline")),
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
        told=lambda wildcards: one_line(jobs.notebook, study, "app_baseline"),
    shell:
        "python {input.script:q} {input.notebook:q} {log.notebook:q} {params.told}"
        " -o pdf {output.pdf:q} -o png {output.png:q} -o csv {output.csv:q} -o drops {output.drops:q} > {log[0]:q} 2>&1"
        " && echo drawn: {output.png:q} >&2"


rule app_reliance:
    """What answers rest on: accuracy without a sense or with another clip's sound, beside each sense's route; graded tasks."""
    input:
        script="<repo>workflow_scripts/run_notebook.py",
        lib=notebook_code("app_reliance"),
        notebook="<repo>figures/app_reliance.ipynb",
        style="<repo>figures/style.mplstyle",
        files=lambda wildcards: settled(one_line(figure_table.inputs, study, "app_reliance")),
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
        told=lambda wildcards: one_line(jobs.notebook, study, "app_reliance"),
    shell:
        "python {input.script:q} {input.notebook:q} {log.notebook:q} {params.told}"
        " -o pdf {output.pdf:q} -o png {output.png:q} -o csv {output.csv:q} -o areas {output.areas:q} > {log[0]:q} 2>&1"
        " && echo drawn: {output.png:q} >&2"


rule app_answer_probability:
    """What each layer would answer: probability of the correct and the wrong options."""
    input:
        multiext("<results>/figures/app_answer_probability", ".pdf", ".png"),
    localrule: True


rule app_attention_change:
    """Attention maps with and without a cut, and where the question and the last token look in each case."""
    input:
        multiext("<results>/figures/app_attention_change", ".pdf", ".png"),
    localrule: True


rule app_options:
    """Figure 4's question in parts: which of them reaches the last token, and what reaches the correct option."""
    input:
        multiext("<results>/figures/app_options", ".pdf", ".png"),
    localrule: True


rule app_cumulative:
    """Accuracy with a route cut in all layers up to one, in all from one on, or in either half."""
    input:
        multiext("<results>/figures/app_cumulative", ".pdf", ".png"),
    localrule: True


rule app_sufficiency:
    """Accuracy with only the found routes open, against the same number of random edges."""
    input:
        multiext("<results>/figures/app_sufficiency", ".pdf", ".png"),
    localrule: True


rule app_free:
    """Answers in free words: what the whole reply loses when a route into the question, the last token or the reply is cut."""
    input:
        multiext("<results>/figures/app_free", ".pdf", ".png"),
    localrule: True


rule app_failed:
    """Where wrong answers come from: the wrong answer's own probability when a route is cut."""
    input:
        multiext("<results>/figures/app_failed", ".pdf", ".png"),
    localrule: True


rule app_discard_layers:
    """Accuracy by the layer after which each kind of token is discarded, beside the same number of random tokens."""
    input:
        multiext("<results>/figures/app_discard_layers", ".pdf", ".png"),
    localrule: True


rule app_pareto:
    """Accuracy against operations saved: our discards, random ones, FastV and VTW."""
    input:
        multiext("<results>/figures/app_pareto", ".pdf", ".png"),
    localrule: True


rule app_sensitivity:
    """What the paper leaves open: the main routes under other choices, and how far their peaks move."""
    input:
        multiext("<results>/figures/app_sensitivity", ".pdf", ".png"),
    localrule: True


rule app_heads:
    """Which heads carry a route: the effect of a cut in each head alone, and in the strongest heads together."""
    input:
        multiext("<results>/figures/app_heads", ".pdf", ".png"),
    localrule: True


rule app_resample:
    """The control where no size-matched one exists: routes read another clip's keys and values, beside their cuts."""
    input:
        multiext("<results>/figures/app_resample", ".pdf", ".png"),
    localrule: True


rule app_conflict:
    """Whose answer wins if a clip's pictures go with another clip's sound, and in which layers it is decided."""
    input:
        multiext("<results>/figures/app_conflict", ".pdf", ".png"),
    localrule: True


rule app_where:
    """When in the clip, and where in the picture, answers come from: maps of some questions, and means around known events."""
    input:
        multiext("<results>/figures/app_where", ".pdf", ".png"),
    localrule: True


rule app_sinks:
    """Do sink tokens carry anything? Their number, norms and attention, and what the question and the last token lose with them."""
    input:
        multiext("<results>/figures/app_sinks", ".pdf", ".png"),
    localrule: True


rule app_training:
    """Accuracy by task while the tiny models were trained, from the logs beside their checkpoints."""
    input:
        multiext("<results>/figures/app_training", ".pdf", ".png"),
    localrule: True


rule app_world:
    """The miniature's world: a clip with its questions, and a matching question."""
    input:
        multiext("<results>/figures/app_world", ".pdf", ".png"),
    localrule: True


rule figures:
    """Every figure that the study can draw from its datasets and models, but those on request."""
    input:
        expand(
            "<results>/figures/{name}.{kind}", name=one_line(figure_table.drawn_by_default, study), kind=["pdf", "png"]
        ),
    localrule: True
