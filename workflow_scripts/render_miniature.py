"""Draw one dataset of the synthetic world as files, as a benchmark ships them: media/ and the question file test.csv.

    python workflow_scripts/render_miniature.py --dataset mini-video --setting av_video --tasks hear see while-hear while-see \\
        --questions 300 --seed 0 --out results/miniature/datasets/mini-video

The setting av_video has clips (H.264 + AAC); tasks of one family ask about the same clips. The setting items has pictures (png)
and sounds (wav). 600 clips take half a minute on two cores.

All files are held out from training. The random numbers of a file are seeded by a path that starts with the dataset's name, those
of training by one that starts with "train".
"""

import argparse
import csv
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from avflow import cli
from avflow.errors import InputError
from avflow.media import files
from avflow.miniature import datasets, world

CLIP_SIZE, CLIP_RATE, ITEM_RATE = 112, 48000, 16000


def family_of(task: str) -> tuple[str, float]:
    """The family of clips that a task asks about, and the dial they are drawn with. either-25 has clips of its own."""
    name, dial = world.video_task(task)
    return (task if name == "either" else world.VIDEO_TASKS[name].clips), dial


def clip_scene(dataset: str, seed: int, family: str, dial: float, number: int):
    """The scene of one clip, and the generator to render it with."""
    g = world.generator(dataset, seed, family, number)
    return world.draw_scenes(family.partition("-")[0], 1, g, audio_share=dial), g


def bytes_of(frames: torch.Tensor):
    """Frames float (frames, 3, H, W) as uint8 (frames, H, W, 3)."""
    return (frames * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def render_clip(job) -> None:
    *scene, path = job
    scene, g = clip_scene(*scene)
    times = [k / datasets.CLIP_FPS for k in range(datasets.CLIP_FPS * world.SECONDS)]
    frames = world.render_frames(scene, times, CLIP_SIZE, g)[0]
    files.write_clip(path, bytes_of(frames), datasets.CLIP_FPS, world.render_audio(scene, CLIP_RATE, g)[0].numpy(), CLIP_RATE)


def video_rows(dataset: str, tasks, questions: int, seed: int) -> list[dict]:
    """The csv rows of a video dataset."""
    rows = []
    for task in tasks:
        family, dial = family_of(task)
        for number in range(1, questions + 1):
            scene, _ = clip_scene(dataset, seed, family, dial, number)
            g = world.generator(dataset, seed, "question", task, number)
            answer, cue = world.answers(world.video_task(task)[0], scene, g)
            order = torch.randperm(4, generator=g).tolist()
            needs = None
            if family.startswith("either"):
                needs = "V" if scene.sound[0, 0] == world.NOTHING else "A"
            clip = f"{family}_{number:04d}"
            cue = None if cue is None else int(cue)
            rows.append(datasets.video_row(task, number, clip, order, int(answer), cue, needs))
    return rows


def items_question(dataset: str, seed: int, task: str, number: int):
    """The candidates' kinds (4,), the number of the matching one, the options' order, and the generator to render with."""
    g = world.generator(dataset, seed, task, number)
    kinds, answer = datasets.draw_items(1, g)
    return kinds[0], int(answer), torch.randperm(4, generator=g).tolist(), g


def items_row(*question) -> dict:
    _, answer, order, _ = items_question(*question)
    return datasets.items_row(*question[2:], order, answer)


def render_items(job) -> None:
    """The five files of one matching question."""
    *question, folder = job
    task = question[2]
    kinds, answer, _, g = items_question(*question)
    row = items_row(*question)
    pictured, sounding = (kinds[answer][None], kinds) if task == "image-to-audio" else (kinds, kinds[answer][None])
    for kind, path in zip(pictured, row["image_path"]):
        scene = world.draw_scenes("items", 1, g)
        scene = world.Scenes(kind.view(1, 1), scene.colour, kind.view(1, 1))
        files.write_png(f"{folder}/{path}", bytes_of(world.render_frames(scene, [0.0], CLIP_SIZE, g)[0])[0])
    for kind, path in zip(sounding, row["audio_path"]):
        scene = world.Scenes(kind.view(1, 1), kind.view(1, 1), kind.view(1, 1))
        files.write_wav(f"{folder}/{path}", world.render_audio(scene, ITEM_RATE, g)[0].numpy(), ITEM_RATE)


def render_all(work, jobs, what: str, processes: int) -> None:
    """Run the jobs in `processes` processes of one thread each."""
    progress = cli.Progress(f"rendering {what}", len(jobs))
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        for _ in pool.map(work, jobs, chunksize=8):
            progress.step()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True, help="the dataset's name, which also seeds its random numbers")
    parser.add_argument("--setting", required=True, choices=["av_video", "items"])
    parser.add_argument("--tasks", nargs="+", required=True)
    parser.add_argument("--questions", type=int, required=True, help="questions per task")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True, help="folder of the dataset")
    arguments = parser.parse_args()

    (arguments.out / "media").mkdir(parents=True, exist_ok=True)
    numbers = range(1, arguments.questions + 1)
    first = (arguments.dataset, arguments.seed)
    if arguments.setting == "av_video":
        families = sorted({family_of(task) for task in arguments.tasks})
        path = lambda family, number: arguments.out / f"media/{family}_{number:04d}.mp4"
        jobs = [(*first, family, dial, number, path(family, number)) for family, dial in families for number in numbers]
        render_all(render_clip, jobs, arguments.dataset, arguments.threads)
        rows = video_rows(arguments.dataset, arguments.tasks, arguments.questions, arguments.seed)
    else:
        unknown = [task for task in arguments.tasks if task not in world.ITEM_TASKS]
        if unknown:
            raise InputError(f"item task {unknown[0]!r} is unknown; known: {', '.join(world.ITEM_TASKS)}")
        questions = [(*first, task, number) for task in arguments.tasks for number in numbers]
        render_all(render_items, [(*q, arguments.out) for q in questions], arguments.dataset, arguments.threads)
        rows = [items_row(*q) for q in questions]
        rows = [{k: json.dumps(v) if isinstance(v, list) else v for k, v in row.items()} for row in rows]
    with open(arguments.out / "test.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    cli.run(main)
