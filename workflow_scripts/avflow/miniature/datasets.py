"""The world as benchmarks: rows of question files, in the formats of the real benchmarks (see `questions.benchmark_rows`)."""

import torch

from . import world

CLIP_FPS = 10  # frames per second of a clip's file
VIDEO, ITEMS, GRADED = "mini-video", "mini-items", "mini-graded"
INSTRUCTIONS = {"av_video": (world.VIDEO_INSTRUCTION, world.VIDEO_ENDING), "items": (world.ITEMS_INSTRUCTION,)}
TRAINED = "eq3"  # the order of matching questions in which the tiny models are trained


def video_row(task: str, number: int, clip: str, order, answer: int, cue: int | None, needs: str | None = None) -> dict:
    """A csv row of a video dataset.

    order: the indices of the task's four answer words, in the order of the options. answer: the index of the right word. cue: the
    index of the colour that the question names, or None. needs: the modality that decides the answer, if not the task's own.
    """
    spec = world.VIDEO_TASKS[world.video_task(task)[0]]
    words = [spec.answers[i] for i in order]
    return {
        "question_id": f"{task}_{number:04d}",
        "task_id": task,
        "needs": needs or spec.needs,
        "question": spec.question.format(colour=world.COLOURS[cue] if cue is not None else ""),
        "choices": str([f"{letter}. {word}" for letter, word in zip(world.LETTERS, words)]),
        "answer": world.LETTERS[list(order).index(answer)],
        "video_id": clip,
        "audio_visual_path": f"media/{clip}.mp4",
    }


def items_row(task: str, number: int, order, answer: int) -> dict:
    """A row of mini-items. order: the candidate that each option names, counted from 0. answer: the candidate that matches."""
    spec = world.ITEM_TASKS[task]
    candidate, reference = ("audio", "img") if task == "image-to-audio" else ("img", "audio")
    kind = {"audio": "audio", "img": "image"}
    suffix = {"audio": "wav", "img": "png"}
    tags = " ".join(f"[{candidate}{i}]" for i in range(1, 5))
    head, tail = spec.question.split(", ", 1)
    paths = {
        candidate: [f"media/{task}_{number:04d}_c{i}.{suffix[candidate]}" for i in range(1, 5)],
        reference: [f"media/{task}_{number:04d}_r1.{suffix[reference]}"],
    }
    return {
        "question_id": f"{task}_{number:04d}",
        "task": task,
        "needs": spec.needs,
        "question": f"{head} {tags}, {tail[:-1]} [{reference}1]?",
        "options": [f"{letter}. the {world.ORDINALS[i]} {kind[candidate]}" for letter, i in zip(world.LETTERS, order)],
        "answer": world.LETTERS[list(order).index(answer)],
        "image_path": paths["img"],
        "audio_path": paths["audio"],
    }


def draw_items(batch: int, g: torch.Generator):
    """Draw matching questions: the candidates' kinds (batch, 4), all different, and the matching candidate's index (batch,)."""
    kinds = torch.rand(batch, 4, generator=g, device=g.device).argsort(1)
    return kinds, torch.randint(0, 4, (batch,), generator=g, device=g.device)
