"""Measure what one question costs in the models' real shapes: a rehearsal of the studies paper and qwen3 with random weights.

    python benchmarks/full_size.py prepare --out full_size.tar.xz                           on a machine that decodes clips
    python benchmarks/full_size.py run full_size.tar.xz --out benchmarks/full_size.json     on one GPU, about 20 minutes
    python benchmarks/full_size.py run full_size.tar.xz --smoke --out /tmp/full_size.json   tiny shapes, to see that it runs

`prepare` makes the media of two questions: a clip of 15 seconds in 720p with sound (Eq. 1), and a matching question with four
pictures and one sound (Eq. 3). It decodes them as the rule preprocess_media does, with each model's own sampling.

`run` writes every model's checkpoint to disk, sharded, in its official layout and with random bf16 weights. It loads it as the
workflow does, and calls these scripts with the options of config.yaml:

* extract_features, evaluate and attention;
* knockout: the cuts and controls of each main figure, and value_zero, at every centre;
* discard_sweep: every fourth layer;
* pruning: Table 4's layers, scaled to the model's depth;
* where, and free (evaluate and knockout): times and places of the clip, and its question again without options, which the model
  answers in REPLY tokens. stages.py does not compare these two with `estimate`, so they stand apart in the
  file, as `on_request`.

A model's weights lie in the folder for temporary files while it runs: 63 GB for Qwen3-Omni. TMPDIR=/dev/shm keeps them in memory.

Seconds come from one run. Peaks are the memory that torch allocated on the device, with weights. The tokenizer is the tiny
models'. For the committed file, each model was measured in its own process (`--models`), and the results were joined. Afterwards,
benchmarks/stages.py fits the rates of `estimate` to the file.
"""

import argparse
import json
import runpy
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "workflow_scripts"
sys.path.insert(0, str(SCRIPTS))
from random_checkpoints import write_checkpoint  # noqa: E402
from stages import budget_of  # noqa: E402

from avflow.jobs import where as where_options  # noqa: E402
from avflow.models import families  # noqa: E402
from avflow.questions import benchmark_rows, read_questions, split_for_knockout, write_questions  # noqa: E402
from avflow.storage import read_metadata  # noqa: E402
from avflow.study import Study  # noqa: E402

STUDIES = ("paper", "qwen3")  # their models; the cuts are the first one's
REPLY = 20  # tokens of the model's own reply to the free question
ANALYSES = {"av_video": ["figure_3", "figure_4", "value_zero"], "items": ["figure_5", "figure_6"]}
VIDEO_PROMPT = (
    "Select the best answer to the following multiple-choice question based on the video."
    " Respond with only the letter (A, B, C, or D) of the correct option.",
    "The best answer is:",
)
ITEMS_PROMPT = "Answer with the option's letter from the given choices directly."


def draw(seconds: float, fps: int, height: int, width: int) -> np.ndarray:
    """Pictures uint8 (frames, H, W, 3): a disc that moves over a gradient of grey."""
    y, x = np.mgrid[:height, :width]
    frames = np.empty((int(seconds * fps), height, width, 3), np.uint8)
    for k, frame in enumerate(frames):
        angle = 2 * np.pi * k / len(frames)
        disc = (x - width * (0.5 + 0.3 * np.cos(angle))) ** 2 + (y - height * (0.5 + 0.3 * np.sin(angle))) ** 2 < (
            height / 5
        ) ** 2
        frame[:] = (60 + 120 * x / width)[..., None]
        frame[disc] = (220, 40 + 8 * k % 200, 60)
    return frames


def prepare(out: Path, seconds: int, config: Path) -> None:
    """Write media, questions and decoded shards, and pack what `run` needs."""
    import yaml

    from avflow.media import files

    settings = yaml.safe_load(config.read_text())
    models = {name: settings["models"][name] for study in STUDIES for name in settings["studies"][study]["models"]}
    rows = {
        "av_video": dict(
            question_id="1", question="Who speaks while the disc is at the left of the picture?", task_id="speaker_recognition",
            choices=str(["A. The man", "B. The woman", "C. The child", "D. Nobody"]), answer="B", video_id="clip",
            audio_visual_path="media/clip.mp4",
        ),
        "items": dict(
            question_id="1", task="instrument", answer="C", image_path=[f"media/c{i}.png" for i in range(1, 5)],
            question="Out of the four images [img1] [img2] [img3] [img4], which one fits the sound [audio1]?",
            options=["A. the third image", "B. the second image", "C. the fourth image", "D. the first image"],
            audio_path=["media/r1.wav"],
        ),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "media").mkdir()
        rate = 48000
        t = np.arange(seconds * rate) / rate
        sound = (0.2 * np.sin(2 * np.pi * 220 * t * (1 + t / seconds))).astype(np.float32)
        files.write_clip(work / "media/clip.mp4", draw(seconds, 25, 720, 1280), 25, sound, rate)
        files.write_wav(work / "media/r1.wav", sound[: 10 * rate], rate)
        for number, picture in enumerate(draw(4, 1, 768, 1024), 1):
            files.write_png(work / f"media/c{number}.png", picture)
        made = {
            "av_video": benchmark_rows.video_question(rows["av_video"], "clip", *VIDEO_PROMPT),
            "items": benchmark_rows.items_question(rows["items"], "item", ITEMS_PROMPT),
        }
        for setting, question in made.items():
            write_questions(split_for_knockout([question], 1), work / f"{setting}.jsonl")
            for name in {m["sampling"] for m in models.values()}:
                wanted = [str(x) for k, v in settings["sampling"][name].items() for x in (f"--{k.replace('_', '-')}", v)]
                options = ["--questions", work / f"{setting}.jsonl", "--media-root", work, *wanted]
                target = work / f"{setting}-{name}.safetensors"
                subprocess.run([sys.executable, SCRIPTS / "preprocess_media.py", *options, "--out", target], check=True)
        (work / "models.json").write_text(json.dumps(models))
        (work / "spans.json").write_text(json.dumps(settings["spans"]))
        (work / "asked.json").write_text(json.dumps(asked_of(Study.read(config, STUDIES[0]))))
        with tarfile.open(out, "w:xz") as archive:
            for path in sorted(work.glob("*.json*")) + sorted(work.glob("*.safetensors")):
                archive.add(path, path.name)
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


def asked_of(study) -> dict:
    """The analyses of a question: the cuts of ANALYSES with their controls, and the options of the attention analysis."""
    cuts, settings = {}, study.config
    for name in sum(ANALYSES.values(), []):
        cuts[name] = [budget_of(settings, name) | {"questions": "all"}]
    looks, free = settings["attention"], settings["knockout"]["cuts"]["free"]
    asked = {"cuts": cuts, "verify": settings["knockout"]["verify"]} | {k: looks[k] for k in ("maps", "bins", "masked", "change")}
    controls = {k: draws for k, draws in free["controls"].items() if k != "questions"}
    return asked | {"where": where_options(study, study.video), "free": [{"routes": free["routes"], "controls": controls}]}


KINDS = {  # Table 4's layers for 36 layers
    "av_video": {
        "Ques": {"tokens": "question_text", "layer": 29},
        "Audio": {"tokens": "audio", "layer": 26},
        "Video": {"tokens": "video", "layer": 26},
    },
    "items": {
        "Ques": {"tokens": "question_text", "layer": 29},
        "Ref": {"tokens": "reference", "layer": 31},
        "Cand": {"tokens": "candidates", "layer": 25},
    },
}


class Loaded:
    """Replaces `families.load_model` in the scripts, so that each model is loaded once instead of by every stage."""

    def __init__(self):
        self.really, self.model = families.load_model, None
        families.load_model = lambda _: self.model

    def load(self, arguments):
        self.model = self.really(arguments)
        return self.model


LOADED = Loaded()  # must exist before any script imports load_model


class Stages:
    """Measures the time and the peak device memory of pieces of work."""

    def __init__(self, device, without=()):
        self.device, self.without, self.found = device, without, {}

    def time(self, name: str, work, *arguments):
        if name.rsplit("/")[-1] in self.without:
            return None
        if self.device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        began, result, failed = time.perf_counter(), None, None
        try:
            result = work(*arguments)
        except (SystemExit, torch.OutOfMemoryError) as error:  # noted in the results
            if getattr(error, "code", 2) != 2:  # a signal, not a script's own error
                raise
            failed = str(error).splitlines()[0]
        if self.device == "cuda":
            torch.cuda.synchronize()
        found = {"seconds": round(time.perf_counter() - began, 2)} | ({"failed": failed} if failed else {})
        if self.device == "cuda":
            found["peak_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
        self.found[name] = found
        print(name, found, flush=True)
        return result


def script(name: str, *arguments) -> None:
    """Run one of the workflow's scripts in this process, so that it uses the loaded model."""
    sys.argv = [name, *map(str, arguments)]
    runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="__main__")


def rehearse(name: str, settings: dict, work: Path, device: str, smoke: bool, without=()) -> dict:
    """Write and load one model's checkpoint, and run every stage on both questions, except the stages in `without`."""
    size, checkpoint = "tiny" if smoke else name.rsplit("-", 1)[1].lower(), work / name
    stages, on_request = Stages(device, without), Stages(device, without)
    facts = stages.time("write", write_checkpoint, checkpoint, settings["family"], size, device)
    options = {k: settings[k] for k in ("family", "dtype", "system_prompt", "positions") if k in settings}
    options = [str(x) for k, v in options.items() for x in (f"--{k.replace('_', '-')}", v)] + ["--checkpoint", checkpoint]
    parser = argparse.ArgumentParser()
    families.model_arguments(parser)
    model = stages.time("load", LOADED.load, parser.parse_args([*map(str, options), "--device", device]))
    spans, tokens, counted, table_4 = (work / "spans.json").read_text(), {}, {}, {}
    wanted = json.loads((work / "asked.json").read_text())
    try:
        for setting, analyses in ANALYSES.items():
            part = lambda what, kind: work / f"{name}-{setting}-{what}.{kind}"  # noqa: B023, E731
            questions, features, answers = work / f"{setting}.jsonl", part("features", "safetensors"), part("evaluate", "parquet")
            frames = work / f"{setting}-{settings['sampling']}.safetensors"
            asked = ["--model", name, *options, "--questions", questions, "--features", features, "--spans", spans]
            cutting = ["--evaluate", answers, "--width", settings["window"], "--verify", wanted["verify"]]
            looks = ("maps", "bins", "masked", "change") if setting == "av_video" else ("maps", "bins")
            looking = [x for look in looks for x in (f"--{look}", as_argument(wanted[look]))]
            stages.time(f"{setting}/features", script, "extract_features", *options, "--frames", frames, "--out", features)
            stages.time(f"{setting}/evaluate", script, "evaluate", *asked, "--out", answers)
            for analysis in analyses:
                cuts, rows = as_argument(wanted["cuts"][analysis]), part(analysis, "parquet")
                stages.time(f"{setting}/{analysis}", script, "knockout", *asked, *cutting, "--cuts", cuts, "--out", rows)
                counted[analysis] = knockouts_of(rows)
            stages.time(f"{setting}/attention", script, "attention", *asked, *looking, "--out", part("attention", "parquet"))
            if setting == "av_video":
                on_request.time("av_video/where", where, asked, wanted["where"], settings["window"], part("where", "parquet"))
                on_request.time("av_video/free", free, asked, wanted["free"], settings["window"], part("free", "parquet"))
            layers, swept, pruned = part("layers", "json"), part("discard_sweep", "parquet"), part("pruning", "parquet")
            layers.write_text(json.dumps(discard_layers(len(model.decoder.layers))))
            kinds = json.dumps({s: {k: of["tokens"] for k, of in of_kind.items()} for s, of_kind in KINDS.items()})
            sweeping = ["--discards", kinds, "--random", 1, "--stride", 1 if smoke else 4]
            discarding = [*("--frames", frames, "--layers", layers, "--random", 1, "--timed", 1), *asked[:-4], "--spans", spans]
            stages.time(f"{setting}/discard_sweep", script, "discard_sweep", *asked, *sweeping, "--out", swept)
            stages.time(f"{setting}/pruning", script, "pruning", *discarding, "--out", pruned)
            table_4[setting] = costs_of(pruned)
            tokens[setting] = count_tokens(model, questions, features, json.loads(spans))
    finally:
        LOADED.model = None
        shutil.rmtree(checkpoint)
    facts |= {"model": name, "tokens": tokens, "knockouts": counted, "discards": table_4}
    return facts | {"stages": stages.found, "on_request": on_request.found}


def where(asked: list, options: str, width: int, out: Path) -> None:
    """Cut the times and places of the clip, and record where the targets look."""
    script("where", *asked, "--width", width, *shlex.split(options), "--out", out)


def free(asked: list, cuts: list[dict], width: int, out: Path) -> None:
    """Ask the clip's question without its options, and cut the routes into the reply."""
    at = asked.index("--questions") + 1
    (question,) = read_questions(asked[at])
    layout = [segment for segment in question.layout if segment["seg"] != "options"]
    write_questions([replace(question, options=[], answer=None, layout=layout)], out.with_suffix(".jsonl"))
    asked, answers = [*asked[:at], out.with_suffix(".jsonl"), *asked[at + 1 :]], out.with_suffix(".answers.parquet")
    script("evaluate", *asked, "--reply-tokens", REPLY, "--out", answers)
    cutting = ["--evaluate", answers, "--width", width, "--verify", 1, "--cuts", json.dumps(cuts)]
    script("knockout", *asked, *cutting, "--out", out)


def as_argument(value) -> str:
    return str(value) if isinstance(value, int) else json.dumps(value)


def knockouts_of(path) -> dict:
    """The number of knockouts, the routes that have a control, and the largest difference of rows from full forwards."""
    if not path.exists():
        return {}
    table = pq.read_table(path, columns=["route", "control", "applicable"])
    rows = [row for row in table.to_pylist() if row["applicable"] and row["control"] != "null"]
    found = {"knockouts": len(rows), "controls": sorted({row["route"] for row in rows if row["control"] != "none"})}
    return found | {"verified_difference": read_metadata(path)["verified_difference"]}


def discard_layers(layers: int) -> dict:
    """Table 4's layers, scaled to a model of `layers` layers."""
    at = {setting: {kind: round(of["layer"] * layers / 36) for kind, of in kinds.items()} for setting, kinds in KINDS.items()}
    return {
        setting: {kind: {"tokens": of["tokens"], "layer": at[setting][kind], "why": "depth"} for kind, of in kinds.items()}
        | {"VTW": {"tokens": "vision", "layer": layers // 2, "why": "half"}}
        for setting, kinds in KINDS.items()
    }


def costs_of(path) -> dict:
    """Discard -> tokens, operations, bytes and milliseconds of the one question. Random discards are left out."""
    names = (
        "n_discarded",
        "token_layers",
        "flops_llm",
        "kv_bytes",
        "peak_bytes",
        "prefill_ms",
        "prefill_ms_low",
        "prefill_ms_high",
    )
    names += ("encoder_ms", "decode_ms_per_token")
    rows = pq.read_table(path).to_pylist() if path.exists() else []
    return {row["discard"]: {name: row[name] for name in names} for row in rows if row["discard"] != "random"}


def count_tokens(model, questions, features, spans) -> dict:
    """Tokens of the one question, in total and by span."""
    from avflow.storage import FeatureStore

    question = read_questions(questions)[0]
    sequence = model.sequence(question, FeatureStore(features).of(question), spans[question.setting])
    found, names = {"all": len(sequence)}, ("video", "audio", "candidates", "reference")
    return found | {name: len(sequence.spans[name]) for name in names if name in sequence.spans}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("prepare")
    packing.add_argument("--out", type=Path, required=True)
    packing.add_argument("--seconds", type=int, default=15, help="length of the clip")
    packing.add_argument("--config", type=Path, default=ROOT / "config.yaml", help="configuration with the study `paper`")
    running = commands.add_parser("run")
    running.add_argument("packed", type=Path)
    running.add_argument("--out", type=Path, required=True)
    running.add_argument("--smoke", action="store_true", help="tiny shapes")
    running.add_argument("--models", nargs="*", help="run only these models")
    running.add_argument("--without", nargs="*", default=[], help="stages to leave out, such as pruning or figure_3")
    arguments = parser.parse_args()
    if arguments.command == "prepare":
        prepare(arguments.out, arguments.seconds, arguments.config)
        return
    device = "cuda" if torch.cuda.is_available() else "cpu"
    facts = {"device": torch.cuda.get_device_name() if device == "cuda" else "cpu", "torch": torch.__version__}
    facts["encoders"] = "joined" if device == "cuda" else "segments"  # see segment_attention
    found = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        with tarfile.open(arguments.packed) as archive:
            archive.extractall(work, filter="data")
        for name, settings in json.loads((work / "models.json").read_text()).items():
            if arguments.models is None or name in arguments.models:
                facts["position"] = len(found)  # the first model of a process loads the kernels
                found.append(facts | rehearse(name, settings, work, device, arguments.smoke, arguments.without))
                arguments.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
