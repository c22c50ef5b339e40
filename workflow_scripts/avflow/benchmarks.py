"""From a benchmark's own rows to `Question`s: two shapes cover what the paper uses, and the miniature ships in the same two.

Video questions come as a csv whose `choices` is the text of a Python list, as AV-SpeakerBench's; matching items come with
inline media tags such as [audio1] and options that name an ordinal ("the third audio"), as AV-Odyssey's.
"""

import ast
import re
from pathlib import Path

from .errors import InputError
from .questions import MediaItem, Option, Question

TAG = re.compile(r"\s*\[(audio|img|video)(\d+)\]")
ORDINAL = re.compile(r"\b(first|second|third|fourth)\s+(image|picture|audio|sound|video|clip)\b", re.IGNORECASE)
ORDINALS = ("first", "second", "third", "fourth")
LETTERED = re.compile(r"([A-Z])[.:]\s*(.+)", re.DOTALL)
KIND = {"audio": "audio", "img": "image", "video": "video"}


def lettered_options(choices, where: str) -> list[tuple[str, str]]:
    """[("A", "circle"), ..] from ["A. circle", ..] or from the text of such a list. Raises InputError naming `where`."""
    if isinstance(choices, str):
        try:
            choices = ast.literal_eval(choices)
        except (ValueError, SyntaxError):
            raise InputError(f"{where}: choices {choices!r} are not a list") from None
    matches = [LETTERED.fullmatch(str(c).strip()) for c in choices]
    if not all(matches):
        raise InputError(f"{where}: choices {choices!r} do not all begin with a letter such as 'A.'")
    return [(m[1], m[2].strip()) for m in matches]


def video_question(row: dict, dataset: str, instruction: str, ending: str) -> Question:
    """A row of an AV-SpeakerBench-like csv in the layout of Eq. 1: video, instruction, question, options, ending.

    row: question_id, question, choices, answer, task_id, video_id, audio_visual_path, and optionally needs and group.
    """
    prefix = dataset.replace("-", "_")
    question_id = f"{prefix}__{row['question_id']}"
    options = tuple(Option(label, text) for label, text in lettered_options(row["choices"], question_id))
    media = MediaItem("v1", f"{prefix}__{row['video_id']}", "video", "video", row["audio_visual_path"])
    layout = (
        {"seg": "media", "id": "v1"},
        {"seg": "instruction", "text": instruction},
        {"seg": "question", "text": row["question"]},
        {"seg": "options"},
        {"seg": "instruction", "text": ending},
    )
    return Question(
        question_id=question_id,
        dataset=dataset,
        setting="av_video",
        layout_name="paper_eq1",
        task=row["task_id"],
        group=row.get("group") or row["task_id"],
        needs=row.get("needs") or "unknown",
        question=row["question"],
        options=options,
        answer=row["answer"],
        media=(media,),
        layout=layout,
    )


def items_question(row: dict, dataset: str, instruction: str) -> Question:
    """A row of an AV-Odyssey-like file in the layout of Eq. 3: four candidates, question, reference, options, instruction.

    row: question_id, task, question with inline tags, options, answer, image_path and audio_path (lists), optionally needs.
    The direction follows from the media counts, the correct candidate from the option's ordinal.
    """
    prefix = dataset.replace("-", "_")
    question_id = f"{prefix}__{row['question_id']}"
    paths = {"image": list(row["image_path"]), "audio": list(row["audio_path"])}
    many = [k for k, p in paths.items() if len(p) == 4]
    one = [k for k, p in paths.items() if len(p) == 1]
    if len(many) != 1 or len(one) != 1:
        counts = ", ".join(f"{len(p)} {k}" for k, p in paths.items())
        raise InputError(f"{question_id}: {counts}; a matching question needs one reference and four candidates")
    tags = sorted(TAG.findall(row["question"]))
    expected = sorted((tag, str(i + 1)) for tag, kind in KIND.items() for i in range(len(paths.get(kind, ()))))
    if tags != expected:
        raise InputError(f"{question_id}: tags {tags} in the question do not name its media one to one")

    def item(id, kind, role, index, path):
        stem = re.sub(r"[^A-Za-z0-9_.-]", "_", Path(path).stem)
        return MediaItem(id, f"{prefix}__{stem}", kind, role, path, index)

    candidates = [item(f"c{i}", many[0], "candidate", i, p) for i, p in enumerate(paths[many[0]], 1)]
    reference = item("r1", one[0], "reference", 1, paths[one[0]][0])
    options = []
    for label, text in lettered_options(row["options"], question_id):
        named = ORDINAL.search(text)
        if not named:
            raise InputError(f"{question_id}: option {label} {text!r} names no candidate such as 'the third audio'")
        options.append(Option(label, text, f"c{ORDINALS.index(named[1].lower()) + 1}"))
    text = re.sub(r"\s+([,.?!])", r"\1", TAG.sub("", row["question"])).strip()
    layout = (
        *({"seg": "media", "id": c.id} for c in candidates),
        {"seg": "question", "text": text},
        {"seg": "media", "id": "r1"},
        {"seg": "options"},
        {"seg": "instruction", "text": instruction},
    )
    return Question(
        question_id=question_id,
        dataset=dataset,
        setting="items",
        layout_name="paper_eq3",
        task=row["task"],
        group="I2A" if one[0] == "image" else "A2I",
        needs=row.get("needs") or "unknown",
        question=text,
        options=tuple(options),
        answer=row["answer"],
        correct_candidate=next((o.candidate for o in options if o.label == row["answer"]), None),
        media=(*candidates, reference),
        layout=layout,
    )
