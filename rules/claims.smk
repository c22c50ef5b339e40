"""Judge every claim, a numeric rule, from the study's tables."""


rule claims:
    """Check every planted fact, or finding of the paper, as a numeric rule with value, interval and verdict."""
    input:
        script="workflow_scripts/claims.py",
        lib=code("claims"),
        claims=study.chosen.get("claims", []),
        tables=figure_table.claimed_tables(study),
    output:
        "<tables>/claims.csv",
    log:
        "<logs>/claims.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        options=jobs.claims(study),
    shell:
        "python {input.script} --claims {input.claims} {params.options} --out {output} 2>&1 | tee {log}"
