"""Measure how fast media are prepared: clips per second of `prepare`, which decodes whole files, and of `preprocess_media`.

    .venv/bin/python benchmarks/media.py --out benchmarks/media.json
    .venv/bin/python benchmarks/media.py --beside ../other-checkout --out both.json

It makes clips like those of benchmarks: 1280 x 720, 25 frames per second, 10 s, H.264 at about 1.5 Mbit/s with AAC. They show
panning layers of texture with sensor noise. Each case runs a script as a rule calls it, with one thread and with all cores; its
start counts. Every case runs three times, in turns with that of the other checkout, and the median counts. Takes about ten
minutes on two cores, twice that with another checkout.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow_scripts"))
from avflow.media import files
from avflow.questions import read_questions

ROOT = Path(__file__).resolve().parents[1]
HEIGHT, WIDTH, FPS, SECONDS, RATE = 720, 1280, 25, 10, 48000
SAMPLINGS = {
    "Qwen2.5-Omni": {"fps": 2, "max-frames": 768, "multiple": 28, "min-pixels": 100352, "max-pixels": 602112},
    "video-SALMONN 2+": {
        "interval": 0.1,
        "min-frames": 16,
        "max-frames": 768,
        "multiple": 28,
        "min-pixels": 3136,
        "max-pixels": 61250,
    },
}


def texture(rng) -> np.ndarray:
    """A picture twice as wide as a frame: blocks of three sizes in random colours."""
    layers = []
    for block, contrast in ((8, 10), (32, 20), (90, 40)):
        noise = rng.normal(size=(HEIGHT // block + 2, 2 * WIDTH // block + 2, 3))
        layers.append(contrast * np.kron(noise, np.ones((block, block, 1)))[:HEIGHT, : 2 * WIDTH])
    return 120 + sum(layers)


def make_clip(path, number: int) -> None:
    """Write one clip with a gliding tone."""
    rng = np.random.default_rng(number)
    wide, grain = texture(rng), rng.normal(scale=0.8, size=(8, HEIGHT, WIDTH, 1))
    frames = np.empty((FPS * SECONDS, HEIGHT, WIDTH, 3), np.uint8)
    for k in range(len(frames)):
        x = int(2.3 * k) % WIDTH
        frames[k] = np.clip(wide[:, x : x + WIDTH] + grain[k % 8], 0, 255)
    t = np.arange(RATE * SECONDS) / RATE
    sound = 0.2 * np.sin(2 * np.pi * (200 + 50 * np.sin(t)) * t) + 0.02 * rng.normal(size=t.size)
    files.write_clip(path, frames, FPS, sound.astype(np.float32), RATE)


def questions_about(folder: Path, clips: int) -> None:
    """Write a file of your own questions, as documented, with one question per clip."""
    shared = {"task": "see", "question": "What is seen?", "options": ["a", "b"], "answer": "A"}
    lines = [{"question_id": f"{i:03d}", **shared, "media": [{"path": f"{i:03d}.mp4", "kind": "video"}]} for i in range(clips)]
    (folder / "questions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def timed(checkout: Path, script: str, options: dict) -> tuple[float, float]:
    """Seconds of a checkout's script with its start, and its core-seconds, which other work on the machine hardly changes."""
    command = [sys.executable, str(checkout / f"workflow_scripts/{script}.py")]
    command += [part for name, value in options.items() for part in (f"--{name}", str(value))]
    used = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])  # noqa: E731
    began, before = time.monotonic(), used()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return time.monotonic() - began, used() - before


def processor() -> str:
    """The processor's name if /proc/cpuinfo has it, else the machine's architecture."""
    names = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
    ]
    return names[0] if names else platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=32, help="number of clips; at most eight differ, the others are copies")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--beside", type=Path, help="another checkout, measured in turns with this one")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    cores, found = len(os.sched_getaffinity(0)), []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for i in range(arguments.clips):
            if i < 8:
                make_clip(folder / f"{i:03d}.mp4", i)
            else:  # with a box of filling bytes, for equal bytes are probed once
                filling = b"\0\0\0\x0cfree" + i.to_bytes(4, "big")
                (folder / f"{i:03d}.mp4").write_bytes((folder / f"{i % 8:03d}.mp4").read_bytes() + filling)
        questions_about(folder, arguments.clips)
        size = sum(path.stat().st_size for path in folder.glob("*.mp4"))
        about = dict(clips=arguments.clips, clip_seconds=SECONDS, width=WIDTH, height=HEIGHT, fps=FPS)
        about |= dict(megabits_a_second=round(8e-6 * size / arguments.clips / SECONDS, 2), cores=cores, processor=processor())
        prepared = {
            "type": "questions",
            "dataset": "d",
            "setting": "av_video",
            "questions-file": folder / "questions.jsonl",
            "root": folder,
        }
        prepared |= {"questions": folder / "q.jsonl", "media": folder / "m.tsv", "dropped": folder / "d.tsv"}

        def case(name, script, options):
            versions = {"this": ROOT} | ({"beside": arguments.beside.resolve()} if arguments.beside else {})
            for threads in sorted({1, cores}):
                times = {version: [] for version in versions}
                for _ in range(arguments.repeats):
                    for version, checkout in versions.items():
                        for record in folder.glob("m.tsv.*"):  # what an earlier run has probed
                            record.unlink()
                        times[version].append(timed(checkout, script, options | {"threads": threads}))
                for version, runs in times.items():
                    seconds, spent = (statistics.median(values) for values in zip(*runs))
                    result = dict(case=name, version=version, threads=threads, repeats=arguments.repeats)
                    result |= dict(seconds=round(seconds, 2), core_seconds=round(spent, 2))
                    result["clips_a_second"] = round(arguments.clips / seconds, 2)
                    found.append({**result, **about})
                    print(found[-1], file=sys.stderr, flush=True)

        case("prepare", "prepare", prepared)
        assert len(read_questions(folder / "q.jsonl")) == arguments.clips
        for name, sampling in SAMPLINGS.items():
            options = {"questions": folder / "q.jsonl", "media-root": folder, **sampling, "out": folder / "f.safetensors"}
            case(f"preprocess_media, {name}", "preprocess_media", options)
    arguments.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
