"""Tables 1 to 4 as csv and LaTeX, each a target, and a target for every table of the study."""

TASKS_OF = {"tab2": study.video, "tab3": study.items}
able = lambda target: lambda wildcards: one_line(figure_table.able, study, target)


rule tab1:
    """Table 1: accuracy with attention to video, or to video and sound, masked in the last layers."""
    input:
        script="<repo>workflow_scripts/tab1.py",
        lib=code("tab1"),
        able=able("tab1"),
        attention="<tables>/attention.parquet",
        published="<repo>resources/published/masking.csv",
    output:
        csv="<tables>/tab1.csv",
        tex="<tables>/tab1.tex",
    log:
        "<logs>/tab1.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        options=jobs.tab1(study),
    shell:
        "python {input.script:q} --attention {input.attention:q} --published {input.published:q} {params.options}"
        " --csv {output.csv:q} --tex {output.tex:q} > {log:q} 2>&1"


rule task_table:
    """Make Table 2 or 3: tasks, question counts, correct answers and an example."""
    input:
        script="<repo>workflow_scripts/task_table.py",
        lib=code("task_table"),
        able=ask(figure_table.able, "table"),
        questions=lambda wildcards: settled([study.questions_made(TASKS_OF[wildcards.table])]),
        dropped=lambda wildcards: settled([study.questions_made(TASKS_OF[wildcards.table], "dropped.tsv")]),
        evaluated="<tables>/evaluate.parquet",
        published="<repo>resources/published/tasks.csv",
    output:
        csv="<tables>/{table}.csv",
        tex="<tables>/{table}.tex",
    log:
        "<logs>/{table}.log",
    wildcard_constraints:
        table="|".join(TASKS_OF),
    localrule: True
    conda:
        "../envs/figures.yaml"
    shell:
        "python {input.script:q} --questions {input.questions:q} --dropped {input.dropped:q} --evaluated {input.evaluated:q}"
        " --published {input.published:q} --csv {output.csv:q} --tex {output.tex:q} > {log:q} 2>&1"


rule tab2:
    """Table 2: tasks of audio-visual video with question counts, how many each model answers correctly, and an example."""
    input:
        multiext("<tables>/tab2", ".csv", ".tex"),
    localrule: True


rule tab3:
    """Table 3: tasks of interleaved items with question counts, how many each model answers correctly, and an example."""
    input:
        multiext("<tables>/tab3", ".csv", ".tex"),
    localrule: True


rule tab4:
    """Table 4: accuracy when tokens are discarded once they have been read, with intervals and costs."""
    input:
        script="<repo>workflow_scripts/tab4.py",
        lib=code("tab4"),
        able=able("tab4"),
        pruning="<tables>/pruning.parquet",
        swept="<tables>/discard_sweep.parquet",
        layers=expand("<results>/discard_layers/{model}.json", model=study.models),
        published="<repo>resources/published/table_4.csv",
    output:
        figure_table.table_4(study, "csv"),
        figure_table.table_4(study, "tex"),
    log:
        "<logs>/tab4.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        options=jobs.tab4(study),
    shell:
        "python {input.script:q} --pruning {input.pruning:q} --swept {input.swept:q} --layers {input.layers:q}"
        " --published {input.published:q} {params.options} > {log:q} 2>&1"


rule tables:
    """Every table of the study, including tables of answers and knockouts that no figure reads."""
    input:
        figure_table.tables(study),
    localrule: True
