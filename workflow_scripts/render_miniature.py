"""Draw the synthetic world as files: clips (H.264 + AAC), pictures (png), sounds (wav), and their question files.

    python workflow_scripts/render_miniature.py --video-tasks hear see while-hear while-see --video-questions 300 \\
        --item-tasks image-to-audio audio-to-image --item-questions 300 --seed 0 --out results/miniature/datasets

600 clips and 3,000 items in about a minute on two cores. Nothing here is seen in training: the random numbers of a file
come from a path that begins with its dataset's name, those of training from one that begins with "train".
"""

import argparse
import csv
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from avflow import cli, media, miniature, world

CLIP_SIZE, CLIP_FPS, CLIP_RATE, ITEM_RATE = 112, 10, 48000, 16000


def clip_scene(seed: int, family: str, number: int) -> tuple[world.Scenes, torch.Generator]:
    """The scene of one clip, and the generator that goes on to render it."""
    g = world.generator(miniature.VIDEO, seed, family, number)
    return world.draw_scenes(family, 1, g), g


def bytes_of(frames: torch.Tensor):
    """(frames, 3, H, W) float to uint8 (frames, H, W, 3)."""
    return (frames * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def render_clip(job) -> None:
    seed, family, number, path = job
    scene, g = clip_scene(seed, family, number)
    frames = world.render_frames(scene, [k / CLIP_FPS for k in range(CLIP_FPS * world.SECONDS)], CLIP_SIZE, g)[0]
    media.write_clip(path, bytes_of(frames), CLIP_FPS, world.render_audio(scene, CLIP_RATE, g)[0].numpy(), CLIP_RATE)


def video_rows(tasks, questions: int, seed: int) -> list[dict]:
    """The csv rows of mini-video; tasks of one family ask about the same clips."""
    rows = []
    for task in tasks:
        family = world.VIDEO_TASKS[task].clips
        for number in range(1, questions + 1):
            scene, _ = clip_scene(seed, family, number)
            g = world.generator(miniature.VIDEO, seed, "question", task, number)
            answer, cue = world.answers(task, scene, g)
            order = torch.randperm(4, generator=g).tolist()
            clip = f"{family}_{number:04d}"
            rows.append(miniature.video_row(task, number, clip, order, int(answer), None if cue is None else int(cue)))
    return rows


def items_question(task: str, seed: int, number: int):
    """Which kinds the candidates are (4,), which one matches, the options' order, and the generator to render with."""
    g = world.generator(miniature.ITEMS, seed, task, number)
    kinds, answer = miniature.draw_items(1, g)
    return kinds[0], int(answer), torch.randperm(4, generator=g).tolist(), g


def render_items(job) -> None:
    """The five files of one matching question."""
    task, seed, number, folder = job
    kinds, answer, order, g = items_question(task, seed, number)
    row = miniature.items_row(task, number, order, answer)
    pictured, sounding = (kinds[answer][None], kinds) if task == "image-to-audio" else (kinds, kinds[answer][None])
    for kind, path in zip(pictured, row["image_path"]):
        scene = world.draw_scenes("items", 1, g)
        scene = world.Scenes(kind.view(1, 1), scene.colour, kind.view(1, 1))
        media.write_png(f"{folder}/{path}", bytes_of(world.render_frames(scene, [0.0], CLIP_SIZE, g)[0])[0])
    for kind, path in zip(sounding, row["audio_path"]):
        scene = world.Scenes(kind.view(1, 1), kind.view(1, 1), kind.view(1, 1))
        media.write_wav(f"{folder}/{path}", world.render_audio(scene, ITEM_RATE, g)[0].numpy(), ITEM_RATE)


def render_all(work, jobs, what: str, processes: int) -> None:
    """Run jobs in processes of one thread each."""
    progress = cli.Progress(f"rendering {what}", len(jobs))
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        for _ in pool.map(work, jobs, chunksize=8):
            progress.step()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video-tasks", nargs="*", choices=world.VIDEO_TASKS, default=[])
    parser.add_argument("--item-tasks", nargs="*", choices=world.ITEM_TASKS, default=[])
    parser.add_argument("--video-questions", type=int, required=True, help="questions a task")
    parser.add_argument("--item-questions", type=int, required=True, help="questions a task")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True, help="folder of the two benchmarks")
    arguments = parser.parse_args()

    video, items = arguments.out / miniature.VIDEO, arguments.out / miniature.ITEMS
    for folder in (video / "clips", items / "media"):
        folder.mkdir(parents=True, exist_ok=True)
    families = {world.VIDEO_TASKS[t].clips for t in arguments.video_tasks}
    clips = [
        (arguments.seed, family, number, f"{video}/clips/{family}_{number:04d}.mp4")
        for family in sorted(families)
        for number in range(1, arguments.video_questions + 1)
    ]
    render_all(render_clip, clips, "clips", arguments.threads)
    numbers = range(1, arguments.item_questions + 1)
    jobs = [(task, arguments.seed, number, str(items)) for task in arguments.item_tasks for number in numbers]
    render_all(render_items, jobs, "items", arguments.threads)

    rows = video_rows(arguments.video_tasks, arguments.video_questions, arguments.seed)
    with open(video / "test.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    with open(items / "test.jsonl", "w", encoding="utf-8") as file:
        for task, seed, number, _ in jobs:
            _, answer, order, _ = items_question(task, seed, number)
            file.write(json.dumps(miniature.items_row(task, number, order, answer)) + "\n")


if __name__ == "__main__":
    cli.run(main)
