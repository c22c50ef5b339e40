"""The prompts of the world's tasks as templates for training: what is fixed, what varies, and what training keeps shut.

The pipeline's own code builds a task's prompt once. Building it again with changes shows which tokens vary.
"""

from dataclasses import dataclass

import torch

from ..models import build
from ..questions import benchmark_rows, layouts
from . import datasets, planting, tiny, world

FREE = world.FREE
FAINT = ("hear-faint", "see-faint", "image-to-audio-faint")  # the same tasks; every question draws how faint its media are
SURE = [*world.VIDEO_TASKS, FREE, *world.ITEM_TASKS]  # tasks that can always be answered
TASKS = [*world.VIDEO_TASKS, *FAINT[:2], FREE, *world.ITEM_TASKS, FAINT[2]]
ORDER = [0, 1, 2, 3]


def base(task: str) -> str:
    """The task of which `task` is the faint form, or itself."""
    return task.removesuffix("-faint")


def kind_of(task: str) -> str:
    return "free" if task == FREE else "clips" if base(task) in world.VIDEO_TASKS else "items"


def spec(task: str) -> world.Task:
    return world.FREE_TASK if task == FREE else {**world.VIDEO_TASKS, **world.ITEM_TASKS}[base(task)]


@dataclass
class Template:
    """The prompt of a task, with everything that varies left open. Indices are positions in its (S,) token ids."""

    ids: torch.Tensor
    positions: torch.Tensor
    option_at: torch.Tensor  # (4,) the word that distinguishes each option; empty for a free answer
    claim_at: torch.Tensor  # (4,) the word by which each option says what its candidate is; empty for most tasks
    cue_at: int | None  # the word in the question that points at a part of the media, or None
    vision_at: torch.Tensor  # (n,) the vision tokens
    vision_of: torch.Tensor  # (n,) what each one shows: the number of the clip's second, or of the picture
    audio_at: torch.Tensor  # (m,) the audio tokens
    audio_of: torch.Tensor  # (m,) what each one holds: the number of the clip's second, or of the sound; -1 is padding
    bound: torch.Tensor  # indices into audio_at: about five audio tokens per second, padding excluded
    auxiliary_at: int | None  # where the answer's word must be known, or None
    answer_at: int  # the token that predicts the answer's first token
    answer_ids: torch.Tensor  # (4,) token ids of the task's answer words
    vision: torch.Tensor  # (S,) bool, true for vision tokens
    audio: torch.Tensor  # (S,) bool, true for audio tokens
    shut: torch.Tensor  # (layers, S, S) bool, (layer, target, source): what training keeps shut
    ends: torch.Tensor  # (4,) the last token of every candidate; empty for clips
    spans: dict[str, torch.Tensor]  # name -> indices, as `planting` names them

    def to(self, device):
        moved = {k: v.to(device) if torch.is_tensor(v) else v for k, v in vars(self).items()}
        return Template(**{**moved, "spans": {k: v.to(device) for k, v in self.spans.items()}})


def shares(count: int, among: int) -> torch.Tensor:
    """Divide `count` tokens into `among` equal runs. Returns each token's run, (count,)."""
    return torch.arange(count) * among // max(count, 1)


def _prompt(task: str, family, order, cue, claims=None, layout=layouts.DEFAULT):
    """The pipeline's own prompt and question of a task. order: the options' words. cue: an index into the task's cues.

    claims: what options say about the candidates, or None. layout: the order of the prompt's parts, see `layouts`.
    """
    item = {"image": dict(grid=torch.tensor([1, 4, 4])), "audio": dict(audio=0, samples=torch.tensor(16000))}
    if task in world.VIDEO_TASKS:
        row = datasets.video_row(task, 0, "c", order, 0, cue)
        question = benchmark_rows.video_question(row, datasets.VIDEO, *datasets.INSTRUCTIONS["av_video"])
    else:
        row = datasets.items_row(task, 0, order, 0, cue, claims)
        question = benchmark_rows.items_question(row, datasets.ITEMS, *datasets.INSTRUCTIONS["items"], layout=datasets.TRAINED)
    question = layouts.arrange(question, layout)
    media = {m.id: family.layout.of(m.role, m.index, m.kind, item.get(m.kind, family.clip)) for m in question.media}
    return build(question, family.tokenizer, world.SYSTEM_PROMPT, media), question


def template(task: str, family, layout: str = layouts.DEFAULT) -> Template:
    """A task's prompt for a family of tiny models (`tiny_omni`, `tiny_salmonn`), with its parts in an order of `layouts`."""
    name = "see" if task == FREE else base(task)  # a free question stands after the same clip as any other
    cue = 0 if spec(task).cues else None
    says = [0, 0, 0, 0] if name == "stated" else None
    first, question = _prompt(name, family, ORDER, cue, says, layout)

    def varying(order=ORDER, cue=cue, says=says):
        return (first.ids != _prompt(name, family, order, cue, says, layout)[0].ids).nonzero()[:, 0]

    option_at, cue_at = varying(order=[1, 2, 3, 0]), varying(cue=1 if spec(task).cues else None)
    claim_at = varying(says=says and [1, 1, 1, 1])
    assert len(option_at) == 4 and len(cue_at) == (cue is not None) and len(claim_at) in (0, 4), task
    ids, positions, answer_ids, spans = first.ids, first.positions, first.ids[option_at], _spans(first.spans)
    if task == FREE:
        ids, positions, spans = _free(first, family.tokenizer)
        option_at, answer_ids = option_at[:0], torch.tensor(family.tokenizer.convert_tokens_to_ids(list(world.SOUNDS)))
    placeholder = {kind: family.tokenizer.convert_tokens_to_ids(token) for kind, token in family.tokens.items()}
    vision = (ids == placeholder["video"]) | (ids == placeholder["image"])
    audio = ids == placeholder["audio"]
    heard = audio.clone()
    if "audio_padding" in first.spans:
        heard[first.spans["audio_padding"]] = False
    many = {kind: sum(m.kind == kind for m in question.media) or world.SECONDS for kind in ("image", "audio")}
    audio_of = torch.full((len(ids),), world.NOTHING)
    audio_of[heard] = shares(int(heard.sum()), many["audio"])
    vision_at, vision_of = vision.nonzero()[:, 0], shares(int(vision.sum()), many["image"])
    spans |= {"video": vision_at, "audio": audio.nonzero()[:, 0]}
    spans |= {"early_video": vision_at[vision_of < 2], "early_audio": (heard & (audio_of >= 0) & (audio_of < 2)).nonzero()[:, 0]}
    spans |= _texts(spans, vision | audio)
    known = planting.KNOWN_AT.get(base(task), "question_text")
    every = max(1, int(heard.sum()) // many["audio"] // 5)
    return Template(
        ids=ids,
        positions=positions,
        option_at=option_at,
        claim_at=claim_at,
        cue_at=int(cue_at[0]) if len(cue_at) else None,
        vision_at=vision_at,
        vision_of=vision_of,
        audio_at=spans["audio"],
        audio_of=audio_of[audio],
        bound=heard[audio].nonzero()[::every, 0],
        auxiliary_at=None if known is None else int(spans[known][-1]),
        answer_at=int(spans["last"][-1]),
        answer_ids=answer_ids,
        vision=vision,
        audio=audio,
        shut=_shut(base(task), spans, vision | audio),
        ends=torch.tensor([int(part[-1]) for part in group(spans, "candidate")], dtype=torch.int64),
        spans=spans,
    )


def _spans(found) -> dict[str, torch.Tensor]:
    """The atoms, parts and unions of a prompt's `Spans` that `planting` names."""
    parts = {n: found[n] for n in (*found.atoms, *found.parts) if not n.endswith(".letter") and n not in ("system", "delimiter")}
    return parts | {n: found[n] for n in ("options", "candidates") if len(found[n])}


def _texts(spans, media: torch.Tensor) -> dict[str, torch.Tensor]:
    """The spans `text`, `end` and `question` of `planting`. media (S,) bool."""
    text = (~media).nonzero()[:, 0]
    end = torch.cat([spans[n] for n in ("instruction", "tail", "reply") if n in spans])
    if "reply" in spans:  # it follows the last token of the prompt, which then is one of many
        end = torch.cat([end, spans["last"]])
    after = spans["options" if "options" in spans else "question_text"].max()
    asked = ("instruction", "question_text") if "candidates" in spans else ("instruction", "question_text", "options", "tail")
    question = torch.cat([spans[n] for n in asked if n in spans])
    return {"text": text[text > media.nonzero()[0]], "end": end[end > after], "question": question.sort().values}


def _free(prompt, tokenizer):
    """Ids, positions and spans of `world.FREE_TASK` after the clip of a prompt, with a reply for teacher forcing."""
    spans = _spans(prompt.spans)
    start = int(spans["instruction"][0])
    texts = {"instruction": world.FREE_INSTRUCTION + "\n", "question_text": world.FREE_TASK.asked()}
    pieces = {n: tokenizer(text, add_special_tokens=False)["input_ids"] for n, text in texts.items()}
    pieces |= {n: prompt.ids[spans[n]].tolist() for n in ("tail", "last")}
    pieces["reply"] = tokenizer(world.reply(0, 0), add_special_tokens=False)["input_ids"]
    assert len(pieces["reply"]) == 3, pieces["reply"]
    ids, found = prompt.ids[:start].tolist(), {n: at for n, at in spans.items() if at[-1] < start}
    for n, piece in pieces.items():
        found[n] = torch.arange(len(ids), len(ids) + len(piece))
        ids += piece
    text = torch.arange(len(ids) - start).expand(3, -1) + prompt.positions[:, start : start + 1]
    return torch.tensor(ids), torch.cat([prompt.positions[:, :start], text], 1), found


def _shut(task: str, spans, media: torch.Tensor) -> torch.Tensor:
    """What training keeps shut in a task, (layers, S, S) bool. media (S,) bool."""
    shut = pairs(planting.SHUT[task], spans, len(media)).repeat(tiny.DECODER["num_hidden_layers"], 1, 1)
    shut[: planting.READ_FROM] |= ~media[:, None] & media
    for route, (first, last) in planting.NARROW.get(task, {}).items():
        narrow = pairs([route], spans, len(media))
        shut[:first] |= narrow
        shut[last + 1 :] |= narrow
    return shut


def with_options(spans, letter: str) -> dict[str, torch.Tensor]:
    """The spans of a question with its right option as `correct_option` and the others as `incorrect_options`."""
    others = [at for name, at in spans.items() if name in {f"option_{x}" for x in world.LETTERS if x != letter}]
    return spans | {"correct_option": spans[f"option_{letter}"], "incorrect_options": torch.cat(others)} if others else spans


def group(spans, name: str) -> list[torch.Tensor]:
    """The spans frame_0, frame_1, .. in order; for name "candidate" candidate_1, .."""
    found = [n for n in spans if n.rpartition("_")[0] == name and n.rpartition("_")[2].isdigit()]
    return [spans[n] for n in sorted(found, key=lambda n: int(n.rpartition("_")[2]))]


def pairs(routes, spans, length: int) -> torch.Tensor:
    """The pairs (target, source), (S, S) bool, of routes as in config.yaml: "audio->question", "audio<->video", "cross_frame"."""
    found = torch.zeros(length, length, dtype=torch.bool, device=spans["last"].device)
    for route in routes:
        if route.startswith("cross_"):
            parts = group(spans, route.removeprefix("cross_"))
            for number, target in enumerate(parts):
                for source in parts[:number]:
                    found[target[:, None], source] = True
            continue
        source, target = route.replace("<->", "->").split("->")
        found[spans[target][:, None], spans[source]] = True
        if "<->" in route:
            found[spans[source][:, None], spans[target]] = True
    return found
