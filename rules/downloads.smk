"""Models and datasets of the Hugging Face hub: which commit (pin), then its files, each checked by hash.

These rules run where Snakemake runs, which needs the network; no other rule does. What a download makes depends on its pin and
on nothing else, so its code is `ancient`: a new line in it neither downloads nor computes anything again.
"""


rule pin:
    """Look up commit, licence, sizes and hashes of all that the study takes from the hub; never part of another target."""
    input:
        script="workflow_scripts/pin.py",
        lib=code("pin"),
    log:
        "<logs>/pin.log",
    localrule: True
    conda:
        "../envs/data.yaml"
    params:
        targets=ask(jobs.pin_targets),
    shell:
        "env -u HF_HUB_OFFLINE -u TRANSFORMERS_OFFLINE"
        " python {input.script} --targets {params.targets:q} --out resources/pins 2>&1 | tee {log}"


rule download_weights:
    """Fetch a model's pinned checkpoint."""
    input:
        script=ancient("workflow_scripts/download.py"),
        lib=ancient(code("download")),
        pin=ask(jobs.pin, "model"),
    output:
        "<downloads>/models/{model}/manifest.json",
    log:
        "<logs>/download_weights/{model}.log",
    wildcard_constraints:
        model="|".join(study.from_hub("models")),
    retries: 0  # what it can retry, it has retried
    localrule: True
    conda:
        "../envs/data.yaml"
    resources:
        download=1,
    params:
        folder=subpath(output[0], parent=True),
    shell:
        "env -u HF_HUB_OFFLINE -u TRANSFORMERS_OFFLINE"
        " python {input.script} --pin {input.pin} --folder {params.folder} 2>&1 | tee {log}"


rule download_dataset:
    """Fetch what is needed of a pinned dataset."""
    input:
        script=ancient("workflow_scripts/download.py"),
        lib=ancient(code("download")),
        pin=ask(jobs.pin, "dataset"),
    output:
        "<downloads>/datasets/{dataset}/manifest.json",
    log:
        "<logs>/download_dataset/{dataset}.log",
    wildcard_constraints:
        dataset="|".join(study.from_hub("datasets")),
    retries: 0  # what it can retry, it has retried
    localrule: True
    conda:
        "../envs/data.yaml"
    resources:
        download=1,
    params:
        folder=subpath(output[0], parent=True),
    shell:
        "env -u HF_HUB_OFFLINE -u TRANSFORMERS_OFFLINE"
        " python {input.script} --pin {input.pin} --folder {params.folder} 2>&1 | tee {log}"


rule download_av_speakerbench:
    """Fetch AV-SpeakerBench: questions and clips with sound."""
    input:
        "<downloads>/datasets/av_speakerbench/manifest.json",
    localrule: True


rule download_av_odyssey:
    """Fetch AV-Odyssey: 26 GB of questions with pictures and sounds."""
    input:
        "<downloads>/datasets/av_odyssey/manifest.json",
    localrule: True


rule download_worldsense:
    """Fetch WorldSense: questions and 103 GB of clips."""
    input:
        "<downloads>/datasets/worldsense/manifest.json",
    localrule: True


rule downloads:
    """Fetch all that the study takes from the hub."""
    input:
        expand("<downloads>/models/{name}/manifest.json", name=study.from_hub("models")),
        expand("<downloads>/datasets/{name}/manifest.json", name=study.from_hub("datasets")),
    localrule: True
