"""How sound and sight travel through audio-visual language models.

snakemake --cores all           every figure and table
snakemake fig4 --cores all      one figure
"""

from snakemake.utils import min_version

min_version("9.25")


configfile: workflow.current_basedir.join("config.yaml").get_path_or_uri(secret_free=True)


report: "report/workflow.rst"


include: "rules/places.smk"
include: "rules/common.smk"
include: "rules/looking.smk"
include: "rules/preloaded.smk"
include: "rules/interrupting.smk"
include: "rules/retries.smk"
include: "rules/replanning.smk"
include: "rules/downloads.smk"
include: "rules/data.smk"
include: "rules/media.smk"
include: "rules/features.smk"
include: "rules/evaluate.smk"
include: "rules/reliance.smk"
include: "rules/knockout.smk"
include: "rules/pruning.smk"
include: "rules/attention.smk"
include: "rules/resample.smk"
include: "rules/conflict.smk"
include: "rules/where.smk"
include: "rules/figures.smk"
include: "rules/tables.smk"
include: "rules/claims.smk"
include: "rules/report.smk"
include: "rules/estimate.smk"
include: "rules/slurm.smk"
include: "rules/check.smk"


rule all:
    """Every figure and table of the study, the verdicts on its claims, and the explorer."""
    input:
        rules.figures.input,
        rules.tables.input,
        figure_table.claims(study),
        rules.explorer.output if study.analyses and not study.shipped else [],
    localrule: True
