"""Judge every claim, a numeric rule, from the study's tables."""


rule claims:
    """Check every planted fact, or finding of the paper, as a numeric rule with value, interval and verdict."""
    input:
        script="<repo>workflow_scripts/claims.py",
        lib=code("claims"),
        able=able("claims"),
        claims=study.claims,
        specimens=figure_table.specimens(study),
        tables=figure_table.claimed_tables(study),
    output:
        "<tables>/claims.csv",
    log:
        "<logs>/claims.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    threads: len(study.models)
    params:
        options=jobs.claims(study),
    shell:
        "python {input.script:q} --claims {input.claims:q} {params.options} --processes {threads} --out {output:q} 2>&1 | tee {log:q}"
