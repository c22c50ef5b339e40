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
from dataclasses import replace
from pathlib import Path

import torch

from avflow import cli
from avflow.media import files
from avflow.miniature import datasets, rendering, world

CLIP_SIZE, CLIP_RATE, ITEM_RATE = 112, 48000, 16000


def family_of(task: str) -> tuple[str, float, float]:
    """The family of clips that a task asks about, and the dials they are drawn with: the share of clips with sound only, and how
    faint all are. either-25 and hear-faint-60 have clips of their own; see-faint-60 asks about those of hear-faint-60."""
    name, share, faint = world.video_task(task)
    family = task if name == "either" else world.spec_of(name).clips
    return f"{family}-faint-{faint * 100:.0f}" if faint else family, share, faint


def clip_scene(dataset: str, seed: int, family: str, share: float, number: int, faint: float = 0.0):
    """The scene of one clip, and the generator to render it with."""
    g = world.generator(dataset, seed, family, number)
    scene = world.draw_scenes(family.partition("-")[0], 1, g, audio_share=share)
    return dimmed(scene, faint), g


def dimmed(scene: world.Scenes, faint: float) -> world.Scenes:
    """One scene, as faint as that, 0 to 1."""
    return replace(scene, faint=torch.tensor([faint])) if faint else scene


def bytes_of(frames: torch.Tensor):
    """Frames float (frames, 3, H, W) as uint8 (frames, H, W, 3)."""
    return (frames * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def render_clip(job) -> None:
    *scene, path = job
    scene, g = clip_scene(*scene)
    times = [k / datasets.CLIP_FPS for k in range(datasets.CLIP_FPS * world.SECONDS)]
    frames = rendering.render_frames(scene, times, CLIP_SIZE, g)[0]
    files.write_clip(path, bytes_of(frames), datasets.CLIP_FPS, rendering.render_audio(scene, CLIP_RATE, g)[0].numpy(), CLIP_RATE)


def video_rows(dataset: str, tasks, questions: int, seed: int) -> list[dict]:
    """The csv rows of a video dataset."""
    rows = []
    for task in tasks:
        family, share, faint = family_of(task)
        for number in range(1, questions + 1):
            scene, _ = clip_scene(dataset, seed, family, share, number, faint)
            clip = f"{family}_{number:04d}"
            if task == world.FREE:
                rows.append(datasets.free_row(number, clip, int(scene.sound.max()), int(scene.shape[0, 0])))
                continue
            g = world.generator(dataset, seed, "question", task, number)
            answer, cue = world.answers(world.video_task(task)[0], scene, g)
            order = torch.randperm(4, generator=g).tolist()
            needs = None
            if family.startswith("either"):
                needs = "V" if scene.sound[0, 0] == world.NOTHING else "A"
            cue = None if cue is None else int(cue)
            events = world.events(world.video_task(task)[0], scene, cue)
            rows.append(datasets.video_row(task, number, clip, order, int(answer), cue, needs, events))
    return rows


def items_question(dataset: str, seed: int, task: str, number: int):
    """The question's media and answer, the options' order, and the generator to render with."""
    g = world.generator(dataset, seed, task, number)
    name = world.items_task(task)[0]
    items, order = world.draw_items(name, 1, g), torch.randperm(4, generator=g).tolist()
    return items, list(range(4)) if world.ITEM_TASKS[name].ordered else order, g


def items_row(*question) -> dict:
    items, order, _ = items_question(*question)
    cue = None if items.cue is None else int(items.cue)
    claims = None if items.claims is None else items.claims[0].tolist()
    return datasets.items_row(*question[2:], order, int(items.answer), cue, claims)


def render_items(job) -> None:
    """The five files of one question about items."""
    *question, folder = job
    items, _, g = items_question(*question)
    faint, row = world.items_task(question[2])[1], items_row(*question)
    for kind, colour, path in zip(items.pictures.shape[0], items.pictures.colour[0], row["image_path"]):
        drawn = world.draw_scenes("items", 1, g).colour
        scene = world.Scenes(kind.view(1, 1), drawn if colour == world.NOTHING else colour.view(1, 1), kind.view(1, 1))
        files.write_png(f"{folder}/{path}", bytes_of(rendering.render_frames(dimmed(scene, faint), [0.0], CLIP_SIZE, g)[0])[0])
    for kind, path in zip(items.sounds.sound[0], row["audio_path"]):
        scene = world.Scenes(kind.view(1, 1), kind.view(1, 1), kind.view(1, 1))
        files.write_wav(f"{folder}/{path}", rendering.render_audio(dimmed(scene, faint), ITEM_RATE, g)[0].numpy(), ITEM_RATE)


def render_all(work, jobs, what: str, processes: int) -> None:
    """Run the jobs in `processes` processes of one thread each. They are forks, which need not import torch again."""
    progress = cli.Progress(f"rendering {what}", len(jobs))
    torch.set_num_threads(1)
    with ProcessPoolExecutor(processes, multiprocessing.get_context("fork")) as pool:
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
        jobs = [(*first, family, share, n, faint, path(family, n)) for family, share, faint in families for n in numbers]
        render_all(render_clip, jobs, arguments.dataset, arguments.threads)
        rows = video_rows(arguments.dataset, arguments.tasks, arguments.questions, arguments.seed)
    else:
        for task in arguments.tasks:
            world.items_task(task)
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
