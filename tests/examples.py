"""Small questions, clips and encoded media that tests of several rooms ask for."""

from dataclasses import replace

import numpy as np
import torch

from avflow.miniature import datasets, world
from avflow.questions import benchmark_rows

ROW = {
    "question_id": "7",
    "task_id": "see",
    "question": "Which shape?",
    "choices": "['A. circle', 'B. square']",
    "answer": "B",
    "video_id": "clip_7",
    "audio_visual_path": "clips/clip_7.mp4",
}

ITEMS = {
    "question_id": "5_0012",
    "task": "animal",
    "question": "Out of [audio1] [audio2] [audio3] [audio4], which one fits [img1]?",
    "options": ["A. the third audio", "B. the first audio", "C. the fourth audio", "D. the second audio"],
    "answer": "A",
    "image_path": ["media/a_r1.png"],
    "audio_path": [f"media/a_c{i}.wav" for i in range(1, 5)],
}


def video(**changes):
    return benchmark_rows.video_question({**ROW, **changes}, "mini-video", "Choose.", "The answer is:")


def items(layout="original", **changes):
    return benchmark_rows.items_question({**ITEMS, **changes}, "mini-items", "Answer with the letter.", layout=layout)


RATE = 48000


def pictures(count=20, height=48, width=64):
    """Frames whose grey level tells their number, with a white corner at the top left."""
    frames = np.empty((count, height, width, 3), np.uint8)
    frames[:] = (40 + 8 * np.arange(count))[:, None, None, None]
    frames[:, :16, :16] = 255
    return frames


def tone(seconds, rate=RATE, hertz=440):
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def video_question(task="while-see"):
    row = datasets.video_row(task, 1, "c", [0, 1, 2, 3], 0, 0 if world.VIDEO_TASKS[task].cues else None)
    return benchmark_rows.video_question(row, datasets.VIDEO, *datasets.INSTRUCTIONS["av_video"])


def free_question(answer="tone and circle", **changes):
    """The free question of the world about a clip."""
    layout = ({"seg": "media", "id": "v1"}, {"seg": "instruction", "text": world.FREE_INSTRUCTION})
    layout += ({"seg": "question", "text": world.FREE_TASK.asked()},)
    about = dict(question_id="mini_video__free", question=world.FREE_TASK.asked(), options=(), answer=answer, layout=layout)
    return replace(video_question("see"), **about | changes)


def items_question(task):
    cue, claims = (0 if world.ITEM_TASKS[task].cues else None), ([0, 0, 0, 0] if task == "stated" else None)
    row = datasets.items_row(task, 1, [0, 1, 2, 3], 0, cue, claims)
    return benchmark_rows.items_question(row, datasets.ITEMS, world.ITEMS_INSTRUCTION, layout=datasets.TRAINED)


def encoded(model, question):
    """Noise for every medium of a question, encoded."""
    g, side = torch.Generator().manual_seed(0), 2 * model.patch * model.layout.merge
    frames = lambda n: torch.randint(0, 256, (n, 3, side, side), generator=g, dtype=torch.uint8)
    sound = lambda seconds: 0.1 * torch.randn(16000 * seconds, generator=g)
    made = {
        "video": lambda: model.encode("video", frames=frames(16), audio=sound(4), fps=4.0),
        "image": lambda: model.encode("image", frames=frames(1)),
        "audio": lambda: model.encode("audio", audio=sound(1)),
    }
    return {m.media_id: made[m.kind]() for m in question.media}
