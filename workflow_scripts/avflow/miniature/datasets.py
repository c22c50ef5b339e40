"""The world as benchmarks: rows of question files, in the formats of the real benchmarks (see `questions.benchmark_rows`)."""

import json

from . import world

CLIP_FPS = 10  # frames per second of a clip's file
VIDEO, ITEMS, GRADED = "mini-video", "mini-items", "mini-graded"
INSTRUCTIONS = {"av_video": (world.VIDEO_INSTRUCTION, world.VIDEO_ENDING), "items": (world.ITEMS_INSTRUCTION,)}
TRAINED = "eq3"  # the order of matching questions in which the tiny models are trained


def video_row(
    task: str, number: int, clip: str, order, answer: int, cue: int | None, needs: str | None = None, events=()
) -> dict:
    """A csv row of a video dataset.

    order: the indices of the task's four answer words, in the order of the options. answer: the index of the right word. cue: the
    index of the task's cue that the question names, or None. needs: the modality that decides the answer, if not the task's own.
    events: from `world.events`.
    """
    spec = world.VIDEO_TASKS[world.video_task(task)[0]]
    words = [spec.answers[i] for i in order]
    return {
        "question_id": f"{task}_{number:04d}",
        "task_id": task,
        "needs": needs or spec.needs,
        "question": spec.asked(cue),
        "choices": str([f"{letter}. {word}" for letter, word in zip(world.LETTERS, words)]),
        "answer": world.LETTERS[list(order).index(answer)],
        "video_id": clip,
        "audio_visual_path": f"media/{clip}.mp4",
        "events": json.dumps(list(events)),
    }


def free_row(number: int, clip: str, sound: int, shape: int) -> dict:
    """A csv row of a question that is answered in free words. It has no choices."""
    return {
        "question_id": f"{world.FREE}_{number:04d}",
        "task_id": world.FREE,
        "needs": world.FREE_TASK.needs,
        "question": world.FREE_TASK.asked(),
        "choices": "",
        "answer": world.reply(sound, shape),
        "video_id": clip,
        "audio_visual_path": f"media/{clip}.mp4",
        "events": "[]",
    }


def items_row(task: str, number: int, order, answer: int, cue: int | None = None, claims=None) -> dict:
    """A row of mini-items. order: the candidate that each option names, counted from 0. answer: the right candidate.

    cue: the index of the task's cue that the question names, or None. claims: the sound that each candidate's option says it is,
    or None.
    """
    name = world.items_task(task)[0]
    spec = world.ITEM_TASKS[name]
    candidate, reference = ("img", "audio") if name == "audio-to-image" else ("audio", "img")
    kind = {"audio": "audio", "img": "image"}
    suffix = {"audio": "wav", "img": "png"}
    tags = " ".join(f"[{candidate}{i}]" for i in range(1, 5))
    words = ["" if claims is None else f" is a {world.SOUNDS[claims[i]]}" for i in order]
    named = [f"the {world.ORDINALS[i]} {kind[candidate]}{word}" for i, word in zip(order, words)]
    paths = {
        candidate: [f"media/{task}_{number:04d}_c{i}.{suffix[candidate]}" for i in range(1, 5)],
        reference: [f"media/{task}_{number:04d}_r1.{suffix[reference]}"],
    }
    return {
        "question_id": f"{task}_{number:04d}",
        "task": task,
        "group": {"image-to-audio": "I2A", "audio-to-image": "A2I"}.get(task, task),
        "needs": spec.needs,
        "question": spec.asked(cue, tags, f"[{reference}1]"),
        "options": [f"{letter}. {text}" for letter, text in zip(world.LETTERS, named)],
        "answer": world.LETTERS[list(order).index(answer)],
        "image_path": paths["img"],
        "audio_path": paths["audio"],
    }
