"""The paper's benchmarks in small, as files in exactly the layouts that the hub ships, filled from the miniature's world.

    speakerbench   test.csv with list-strings; audiovisual_chunk_*.zip beside archives of the same clips without sound
    odyssey        av_odyssey_part*.parquet with pictures and sounds as bytes, unused columns null, options without letters
    worldsense     worldsense_qa.json by video; worldsense_videos_*.zip

By hand, as downloads of a study: `python tests/layouts.py downloads/datasets`.
"""

import ast
import csv
import json
import sys
import tempfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow_scripts"))
from avflow.media import files
from avflow.miniature import datasets, world
from render_miniature import clip_scene, items_row, render_clip, render_items

SPEAKER_TASKS = {  # task_id of the csv -> the world's task that stands in for it
    "Speech Recognition": "hear",
    "Activity Recognition": "see",
    "Attribute Recognition": "while-hear",
    "Visual Counting": "see",
}
OTHER_SPEAKER_TASKS = {
    "Speaker Detection": "hear",
    "Speaker Recognition": "while-hear",
    "Speaker Counting": "hear",
    "Speech Duration": "while-hear",
    "Speech Pitch": "hear",
    "Speech Rate": "see",
    "Speech Intensity": "hear",
    "Speech Counting": "hear",
}
ODYSSEY_TASKS = {5: "image-to-audio", 4: "audio-to-image"}  # question_type_id -> the world's task
OTHER_ODYSSEY_TASKS = {type_id: ("image-to-audio", "audio-to-image")[type_id % 2] for type_id in (1, 2, 3, 6, 7, 8, 9, 10, 11)}
SENSE_TASKS = {"Audio Change": "hear", "Video Emotions": "see", "Object Counting": "see"}


def world_clip(path, number: int) -> world.Scenes:
    """Write a clip of the family single with its sound; returns what is in it."""
    render_clip(("layouts", 0, "single", 0.5, number, path))
    return clip_scene("layouts", 0, "single", 0.5, number)[0]


def asked(task: str, scene, number: int) -> dict:
    """A question of the world about a clip, in the shape of `miniature.video_row`."""
    g = world.generator("layouts", "question", task, number)
    answer, cue = world.answers(task, scene, g)
    order = torch.randperm(4, generator=g).tolist()
    return datasets.video_row(task, number, "clip", order, int(answer), None if cue is None else int(cue))


def speakerbench(folder, clips: int = 3, archives: int = 2, tasks=SPEAKER_TASKS) -> list[dict]:
    """AV-SpeakerBench: every task asks about every clip. archives: 0 ships clips as files. Returns the csv's rows."""
    folder, rows = Path(folder), []
    folder.mkdir(parents=True, exist_ok=True)
    shipped = {}
    for number in range(1, clips + 1):
        video = f"-yt{number}"
        name = f"{video}_{10 * number}_{10 * number + 4}.mp4"
        with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
            scene = world_clip(file.name, number)
            shipped[f"audiovisual/{name}"] = Path(file.name).read_bytes()
            mute = Path(f"{file.name}.mute")
            frames = files.read_frames(file.name, 10, 768)[0].transpose(0, 2, 3, 1)
            files.write_clip(mute, frames, 10, None, 0)
            shipped[f"visual_only/{name}"] = mute.read_bytes()
            mute.unlink()
        for task_id, task in tasks.items():
            row = asked(task, scene, number)
            paths = dict(audio_path=f"audio_only/{name[:-4]}.wav", visual_path=f"visual_only/{name}")
            rows.append(
                dict(
                    question_id=len(rows),
                    question=row["question"],
                    choices=row["choices"],
                    answer=row["answer"],
                    category="Audio-centric" if task_id.startswith("Speech") else "Visual-centric",
                    sub_category=task_id,
                    task_id=task_id,
                    video_id=video,
                    **paths,
                    audio_visual_path=f"audiovisual/{name}",
                    mp4_ok=True,
                )
            )
    write_csv(rows, folder / "test.csv")
    if archives:
        both = [name for name in shipped if name.startswith("audiovisual/")]
        for part in range(archives):
            write_zip(folder / f"audiovisual_chunk_{part}.zip", {name: shipped[name] for name in both[part::archives]})
        write_zip(folder / "visual_chunk_0.zip", {name: shipped[name] for name in shipped if name not in both})
    else:
        for name, content in shipped.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
    return rows


def odyssey(folder, questions: int = 3, files: int = 2, tasks=ODYSSEY_TASKS) -> list[dict]:
    """AV-Odyssey with embedded media: so many questions a task, and one that matches nothing. Returns the rows."""
    folder, rows = Path(folder), []
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "media").mkdir()
        for type_id, task in tasks.items():
            for number in range(1, questions + 1):
                question = ("layouts", 0, task, number)
                render_items((*question, scratch))
                row = items_row(*question)
                rows.append(odyssey_row(f"{type_id}_{number:04d}", type_id, row))
                for kind in ("image", "audio"):
                    for i, path in enumerate(row[f"{kind}_path"], 1):
                        rows[-1][f"{kind}_{i}"] = (Path(scratch) / path).read_bytes()
    rows.append(
        {**rows[0], "question_id": "19_0001", "question_type_id": 19, "question": "Where does [audio1] come from in [img1]?"}
    )
    rows[-1].update({f"audio_{i}": None for i in (2, 3, 4)})
    for part in range(files):
        write_parquet(rows[part::files], folder / f"av_odyssey_part{part + 1}.parquet")
    return rows


def odyssey_row(question_id: str, type_id: int, row: dict) -> dict:
    """A row without media, from one of `miniature.items_row`."""
    return {
        "question_id": question_id,
        "question_type_id": type_id,
        "subfield": "Timbre",
        "data_type": "image_audio",
        "question": row["question"],
        "options": [text.partition(". ")[2] for text in row["options"]],
        "answer": row["answer"],
        **{f"{kind}_{i}": None for kind in ("image", "audio") for i in range(1, 5)},
        "video_1": None,
    }


def worldsense(folder, videos: int = 3) -> dict:
    """WorldSense: every task asks about every video, the first one with three options. Returns the json's content."""
    folder, entries, members = Path(folder), {}, {}
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, videos + 1):
        video = f"vid{number}"
        with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
            scene = world_clip(file.name, 100 + number)
            members[f"videos/{video}.mp4"] = Path(file.name).read_bytes()
        entry = dict(
            video_id=video, video_duration="4s", duration="<1min", domain="Music", sub_category="x", audio_class=["Music"]
        )
        for i, (task_type, task) in enumerate(SENSE_TASKS.items()):
            row = asked(task, scene, 100 + number)
            candidates = [f"{letter}. {text[3:]}" for letter, text in zip("ABCD", ast.literal_eval(row["choices"]))]
            answer = row["answer"]
            if number == 1 and i == 0:
                wrong = next(c for c in reversed(candidates) if c[0] != answer)
                right = next(c for c in candidates if c[0] == answer)
                candidates = [f"{x}. {c[3:]}" for x, c in zip("ABC", [c for c in candidates if c != wrong])]
                answer = next(c[0] for c in candidates if c[3:] == right[3:])
            entry[f"task{i}"] = dict(
                task_domain="Recognition", task_type=task_type, question=row["question"], answer=answer, candidates=candidates
            )
        entries[video] = entry
    (folder / "worldsense_qa.json").write_text(json.dumps(entries))
    write_zip(folder / "worldsense_videos_0.zip", members)
    return entries


def write_csv(rows: list[dict], path) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def write_zip(path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def write_parquet(rows: list[dict], path, per_group: int | None = None) -> None:
    """One row group, as pandas writes it, or several of `per_group` rows."""
    media = [name for name in rows[0] if name.rpartition("_")[2].isdigit()]
    text = [name for name in rows[0] if name not in media]
    columns = {name: pa.array([row[name] for row in rows]) for name in text}
    columns |= {name: pa.array([row[name] for row in rows], pa.binary()) for name in media}
    pq.write_table(pa.table(columns), path, row_group_size=per_group)


def every_benchmark(folder) -> None:
    """All three, with every task that config.yaml names, as finished downloads."""
    speakerbench(Path(folder) / "av_speakerbench", tasks=SPEAKER_TASKS | OTHER_SPEAKER_TASKS)
    odyssey(Path(folder) / "av_odyssey", tasks=ODYSSEY_TASKS | OTHER_ODYSSEY_TASKS)
    worldsense(Path(folder) / "worldsense")
    for name in ("av_speakerbench", "av_odyssey", "worldsense"):
        (Path(folder) / name / "manifest.json").write_text("{}")


if __name__ == "__main__":
    every_benchmark(sys.argv[1])
