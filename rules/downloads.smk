"""Pin models and datasets of the Hugging Face hub, then download their files and check each by its hash.

Only these rules need the network. They run on the machine that runs Snakemake. A download depends on its pin alone, so its code
is `ancient`: a change to the code neither downloads nor computes anything again.
"""


rule pin:
    """Pin all models and datasets of the study on the hub: commit, licence, sizes and hashes. No other target includes this."""
    input:
        script="<repo>workflow_scripts/pin.py",
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
        " python {input.script:q} --targets {params.targets:q} --out resources/pins 2>&1 | tee {log:q}"


rule download_weights:
    """Download a model's pinned checkpoint."""
    input:
        script=ancient("<repo>workflow_scripts/download.py"),
        lib=ancient(code("download")),
        pin=ask(jobs.pin, "model"),
    output:
        "<downloads>/models/{model}/manifest.json",
    log:
        "<logs>/download_weights/{model}.log",
    wildcard_constraints:
        model="|".join(study.from_hub("models")),
    retries: 0  # the script retries by itself
    localrule: True
    conda:
        "../envs/data.yaml"
    resources:
        download=1,
    params:
        folder=subpath(output[0], parent=True),
    shell:
        "env -u HF_HUB_OFFLINE -u TRANSFORMERS_OFFLINE"
        " python {input.script:q} --pin {input.pin:q} --folder {params.folder:q} 2>&1 | tee {log:q}"


rule download_dataset:
    """Download the needed files of a pinned dataset."""
    input:
        script=ancient("<repo>workflow_scripts/download.py"),
        lib=ancient(code("download")),
        pin=ask(jobs.pin, "dataset"),
    output:
        "<downloads>/datasets/{dataset}/manifest.json",
    log:
        "<logs>/download_dataset/{dataset}.log",
    wildcard_constraints:
        dataset="|".join(study.from_hub("datasets")),
    retries: 0  # the script retries by itself
    localrule: True
    conda:
        "../envs/data.yaml"
    resources:
        download=1,
    params:
        folder=subpath(output[0], parent=True),
    shell:
        "env -u HF_HUB_OFFLINE -u TRANSFORMERS_OFFLINE"
        " python {input.script:q} --pin {input.pin:q} --folder {params.folder:q} 2>&1 | tee {log:q}"


rule download_av_speakerbench:
    """Download AV-SpeakerBench: questions and clips with sound."""
    input:
        "<downloads>/datasets/av_speakerbench/manifest.json",
    localrule: True


rule download_av_odyssey:
    """Download AV-Odyssey: questions with pictures and sounds, 26 GB."""
    input:
        "<downloads>/datasets/av_odyssey/manifest.json",
    localrule: True


rule download_worldsense:
    """Download WorldSense: questions and clips, 103 GB."""
    input:
        "<downloads>/datasets/worldsense/manifest.json",
    localrule: True


rule downloads:
    """Download all models and datasets of the study from the hub."""
    input:
        expand("<downloads>/models/{name}/manifest.json", name=study.from_hub("models")),
        expand("<downloads>/datasets/{name}/manifest.json", name=study.from_hub("datasets")),
    localrule: True
