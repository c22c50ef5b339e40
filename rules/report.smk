"""Tables -> one page in which a reader looks behind every point of every curve."""


rule explorer:
    """Every curve of the study, and the questions behind it: one page with its data, for a browser without a server."""
    input:
        script="workflow_scripts/explorer.py",
        lib=code("explorer"),
        template="report/explorer.html",
        library="resources/plotly/plotly-basic.min.js.gz",
        tables=knockout_tables(*ANALYSES),
        evaluated="<tables>/evaluate.parquet",
        questions=expand("<results>/questions/{dataset}.jsonl", dataset=DATASETS),
    output:
        page="<results>/explorer.html",
        reported=report(
            "<results>/explorer_in_report.html",
            caption="../report/captions.rst",
            category="Explorer",
            labels={"page": "explorer"},
        ),
    log:
        "<logs>/explorer.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        options=as_options({"study": config["study"], **drawing()}),
        models=MODELS,
    shell:
        "python {input.script} {input.tables} --evaluated {input.evaluated} --questions {input.questions}"
        " --template {input.template} --library {input.library} --models {params.models:q} {params.options}"
        " --out {output.page} --report {output.reported} > {log} 2>&1"
