"""Tables -> every finding as a numeric rule with a verdict."""


rule claims:
    """Hold the study's tables to its claims: what was planted in the miniature, or the findings of the paper."""
    input:
        script="workflow_scripts/claims.py",
        lib=code("claims"),
        claims=STUDY.get("claims", []),
        tables=claimed_tables(),
    output:
        "<tables>/claims.csv",
    log:
        "<logs>/claims.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        options=claims_options(),
    shell:
        "python {input.script} --claims {input.claims} {params.options} --out {output} 2>&1 | tee {log}"
