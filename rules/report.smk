"""Pages from tables: the explorer of every curve and its questions, and each table as a page of the report."""


rule explorer:
    """The explorer: one page with every curve of the study and the questions behind it. It needs only a browser."""
    input:
        **figure_table.explorer_maps(study),
        script="<repo>workflow_scripts/explorer.py",
        lib=code("explorer"),
        able=able("explorer"),
        template="<repo>report/explorer.html",
        library="<repo>resources/plotly/plotly-basic.min.js.gz",
        tables=study.knockout_tables(*figure_table.analyses_by_default(study)),
        evaluated="<tables>/evaluate.parquet",
        questions=lambda wildcards: settled([study.questions_made(dataset) for dataset in study.datasets]),
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
        options=jobs.as_options(
            {
                "study": study.name,
                "drawn": figure_table.main_routes(study),
                **figure_table.drawing(study),
                **figure_table.least(study),
            }
        ),
        models=study.models,
    shell:
        "python {input.script:q} {input.tables:q} --evaluated {input.evaluated:q} --questions {input.questions:q}"
        " --template {input.template:q} --library {input.library:q} --models {params.models:q} {params.options}"
        " --maps {input.maps:q} --frames {input.frames:q}"
        " --out {output.page:q} --report {output.reported:q} > {log:q} 2>&1"


rule table_page:
    """Turn a table, or the verdicts on the claims, into a page of the report."""
    input:
        script="<repo>workflow_scripts/table_page.py",
        lib=code("table_page"),
        table="<tables>/{table}.csv",
    output:
        report(
            "<tables>/{table}.html",
            caption="../report/captions.rst",
            category=lambda wildcards: "Claims" if wildcards.table == "claims" else "Tables",
            labels=lambda wildcards: {"table": figure_table.table_title(wildcards.table)},
        ),
    log:
        "<logs>/table_page/{table}.log",
    wildcard_constraints:
        table="tab[1-4](_video|_items)?|claims|sampled_media",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        title=lambda wildcards: figure_table.table_title(wildcards.table),
    shell:
        "python {input.script:q} {input.table:q} --title {params.title:q} --out {output:q} > {log:q} 2>&1"
