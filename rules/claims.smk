"""Tables -> every finding as a numeric rule with a verdict."""


rule claims:
    """Hold the study's tables to its claims: what was planted in the miniature, or the findings of the paper."""
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
