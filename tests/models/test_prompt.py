"""Prompt and layout equal the official processor, template and positions. Each token is in exactly one span.

Also tests avflow.models.adapter, avflow.models.sequence, avflow.models.spans and avflow.questions.layouts.
"""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from conftest import ROOT, UNIONS
from transformers.models.qwen2_5_omni.processing_qwen2_5_omni import Qwen2_5OmniProcessor

from avflow.errors import InputError, Unusable
from avflow.media import Clip, Sampling, plan, sampling
from avflow.miniature import datasets, processor_cases, world
from avflow.models import prompt
from avflow.models.adapter import grid_positions
from avflow.models.prompt import MediaLayout
from avflow.models.qwen_omni import TOKENS, OmniLayout, audio_tokens, chunks
from avflow.questions import benchmark_rows, layouts
from avflow.questions.question import Question


def video_question(ending=world.VIDEO_ENDING):
    row = datasets.video_row("while-see", 1, "c", [1, 0, 2, 3], 2, 0)
    return benchmark_rows.video_question(row, datasets.VIDEO, world.VIDEO_INSTRUCTION, ending)


def items_question(task):
    row = datasets.items_row(task, 1, [1, 0, 3, 2], 2)
    return benchmark_rows.items_question(row, datasets.ITEMS, world.ITEMS_INSTRUCTION, layout=datasets.TRAINED)


def official(model, text, **lengths):
    """Expand placeholders with the official processor's own code, and number positions with the official model's."""
    stand_in = SimpleNamespace(
        audio_token=TOKENS["audio"],
        image_token=TOKENS["image"],
        video_token=TOKENS["video"],
        vision_bos_token=TOKENS["vision_start"],
        vision_eos_token=TOKENS["vision_end"],
        audio_bos_token=TOKENS["audio_start"],
        audio_eos_token=TOKENS["audio_end"],
        image_processor=SimpleNamespace(merge_size=2),
        video_processor=SimpleNamespace(merge_size=2),
    )
    stand_in.get_chunked_index = lambda *a: Qwen2_5OmniProcessor.get_chunked_index(stand_in, *a)
    grids, samples, interleaved = lengths["grids"], lengths["samples"], lengths.get("seconds_per_grid") is not None
    kind = "video" if interleaved else "image"
    expanded = Qwen2_5OmniProcessor.replace_multimodal_special_tokens(
        stand_in,
        [text],
        audio_lengths=iter([audio_tokens(n) for n in samples]),
        image_grid_thw=iter([torch.tensor(g) for g in grids] if kind == "image" else []),
        video_grid_thw=iter([torch.tensor(g) for g in grids] if kind == "video" else []),
        video_second_per_grid=iter([lengths.get("seconds_per_grid", 1.0)]),
        use_audio_in_video=interleaved,
        position_id_per_seconds=25,
        seconds_per_chunk=2.0,
    )[0]
    ids = torch.tensor(model.tokenizer(expanded, add_special_tokens=False)["input_ids"])
    mel = torch.tensor([-(-n // 160) for n in samples]) if samples else None
    positions, _ = model.model.get_rope_index(
        ids[None],
        image_grid_thw=torch.tensor(grids) if kind == "image" else None,
        video_grid_thw=torch.tensor(grids) if kind == "video" else None,
        attention_mask=torch.ones_like(ids[None]),
        use_audio_in_video=interleaved,
        audio_seqlens=mel,
        second_per_grids=torch.tensor([lengths.get("seconds_per_grid", 1.0)]),
    )
    return ids, positions[:, 0]


@pytest.mark.parametrize("order", [layouts.DEFAULT, *layouts.VARIANTS["av_video"]])
@pytest.mark.parametrize("seconds_per_grid", [1.0, 2.0, 0.5])
@pytest.mark.parametrize(
    ("grid", "samples"), [((4, 4, 4), 64171), ((3, 4, 6), 16000), ((5, 8, 4), 150000), ((1, 4, 4), 8000), ((7, 4, 4), 40000)]
)
def test_video_with_audio_is_laid_out_as_officially(model, grid, samples, seconds_per_grid, order):
    question = layouts.arrange(video_question(), order)
    features = dict(
        grid=torch.tensor(grid), seconds_per_grid=torch.tensor(seconds_per_grid), audio=0, samples=torch.tensor(samples)
    )
    layout = OmniLayout(model.model.config).of("video", 1, "video", features)
    made = prompt.build(question, model.tokenizer, world.SYSTEM_PROMPT, {"v1": layout}, UNIONS["av_video"])
    ids, positions = official(
        model,
        processor_cases.chat(question, world.SYSTEM_PROMPT, model.tokenizer),
        grids=[grid],
        samples=[samples],
        seconds_per_grid=seconds_per_grid,
    )
    assert torch.equal(made.ids, ids)
    assert torch.equal(made.positions, positions)
    assert (made.positions[0, made.spans["audio"]].diff() == 1).all(), "sound runs on without a gap"


SPREAD = Sampling(fps=2, frames="official", min_frames=4, max_frames=768, multiple=28, min_pixels=3136, max_pixels=3136)
CLIPS = [(240, 24000 / 1001), (300, 30000 / 1001), (301, 30), (295, 25), (600, 60000 / 1001), (359, 30), (57, 30), (1, 25)]


@pytest.mark.parametrize(("pictures", "rate"), CLIPS)
def test_clips_sampled_as_officially_are_laid_out_as_officially(model, pictures, rate):
    clip = Clip(pictures, pictures / rate, rate, 56, 56, round(16000 * pictures / rate))
    planned = plan(clip, SPREAD)
    grid, seconds = (planned.count // 2, 4, 4), 2 / planned.fps
    features = dict(grid=torch.tensor(grid), seconds_per_grid=torch.tensor(seconds, dtype=torch.float64))
    features |= dict(audio=0, samples=torch.tensor(clip.samples))
    question = video_question()
    layout = OmniLayout(model.model.config).of("video", 1, "video", features)
    made = prompt.build(question, model.tokenizer, world.SYSTEM_PROMPT, {"v1": layout}, UNIONS["av_video"])
    text = processor_cases.chat(question, world.SYSTEM_PROMPT, model.tokenizer)
    ids, positions = official(model, text, grids=[grid], samples=[clip.samples], seconds_per_grid=seconds)
    assert torch.equal(made.ids, ids) and torch.equal(made.positions, positions)
    assert planned.count == len(made.spans["video"]) // 2


@pytest.mark.parametrize(("pictures", "rate"), CLIPS[:3] + CLIPS[4:5])
def test_ten_seconds_end_in_a_chunk_of_two_grids_and_two_seconds_of_sound(model, pictures, rate):
    def runs(frames):
        clip = Clip(pictures, pictures / rate, rate, 56, 56, round(16000 * pictures / rate))
        planned = plan(clip, replace(SPREAD, frames=frames, min_frames=4 if frames == "official" else 1))
        grid, seconds = torch.tensor((-(-planned.count // 2), 4, 4)), torch.tensor(2 / planned.fps)
        features = dict(grid=grid, seconds_per_grid=seconds, audio=0, samples=torch.tensor(clip.samples))
        blocks = OmniLayout(model.model.config).of("video", 1, "video", features).blocks
        return [(b.part.partition("_")[0], b.count) for b in blocks if b.part]

    chunk = [("frame", 4), ("frame", 4), ("audio", 50)]
    assert runs("official")[:15] == 5 * chunk and runs("official")[15:] in ([], [("audio", 1)])
    assert runs("exact")[15] == ("frame", 4), "an eleventh grid, of the last picture twice"


@pytest.mark.parametrize("order", layouts.NAMES)
@pytest.mark.parametrize("task", ["image-to-audio", "audio-to-image"])
def test_interleaved_items_are_laid_out_as_officially(model, task, order):
    question = layouts.arrange(items_question(task), order)
    images = [(1, 4, 4), (1, 6, 4), (1, 4, 8), (1, 4, 4)][: sum(m.kind == "image" for m in question.media)]
    sounds = [16000, 20000, 12345, 31999][: sum(m.kind == "audio" for m in question.media)]
    grids, samples, media = iter(images), iter(sounds), {}
    for m in question.media:
        one = dict(grid=torch.tensor(next(grids))) if m.kind == "image" else dict(audio=0, samples=torch.tensor(next(samples)))
        media[m.id] = OmniLayout(model.model.config).of(m.role, m.index, m.kind, one)
    made = prompt.build(question, model.tokenizer, world.SYSTEM_PROMPT, media, UNIONS["items"])
    ids, positions = official(
        model, processor_cases.chat(question, world.SYSTEM_PROMPT, model.tokenizer), grids=images, samples=sounds
    )
    assert torch.equal(made.ids, ids)
    assert torch.equal(made.positions, positions)


def test_atoms_partition_every_sequence(sequences):
    for sequence in sequences.values():
        covered = torch.cat(list(sequence.spans.atoms.values())).sort().values
        assert torch.equal(covered, torch.arange(len(sequence)))
        parts = torch.cat(sequence.spans.group("frame")) if "frame_0" in sequence.spans else torch.empty(0)
        if len(parts):
            assert torch.equal(parts.sort().values, sequence.spans["video"])


def test_spans_hold_the_text_they_name(sequences, model):
    decode = lambda s, name: model.tokenizer.decode(s.ids[s.spans[name]])  # noqa: E731
    for i, s in sequences.items():
        q = s.question
        assert decode(s, "question_text").rstrip() == q.question
        for option in q.options:
            assert decode(s, f"option_{option.label}").rstrip() == f"{option.label}. {option.text}"
            assert decode(s, f"option_{option.label}.letter") == option.label
        assert int(s.spans["last"]) == len(s) - 1
        right = next(o for o in q.options if o.label == q.answer)
        assert right.text in decode(s, "correct_option") and right.text not in decode(s, "incorrect_options")
        if q.setting == "av_video":
            whole = decode(s, "question")
            assert (
                whole
                == f"{world.VIDEO_INSTRUCTION}\n{q.question}\n"
                + "".join(f"{o.label}. {o.text}\n" for o in q.options)
                + f"{world.VIDEO_ENDING}<|im_end|>\n<|im_start|>assistant"
            )
            assert len(s.spans["video"]) == 16 and len(s.spans["audio"]) == 100, i
        else:
            assert len(s.spans["candidates"]) == len(s.spans["correct_candidate"]) + len(s.spans["incorrect_candidates"])


ORDERS = {
    "default": "C1 C2 C3 C4 question R options instruction",
    "original": "question C1 question C2 question C3 question C4 question R question options instruction",
    "eq3": "C1 C2 C3 C4 question R options instruction",
    "reference_first": "R C1 C2 C3 C4 question options instruction",
    "reference_last": "C1 C2 C3 C4 question options instruction R",
    "question_first": "question C1 C2 C3 C4 R options instruction",
}


@pytest.mark.parametrize("order", layouts.NAMES)
def test_a_layout_orders_the_spans_as_its_name_says(model, order):
    question = layouts.arrange(items_question("audio-to-image"), order)
    assert question.layout_name == ("paper_eq3" if order in ("default", "eq3") else order)
    names = {"c1": "C1", "c2": "C2", "c3": "C3", "c4": "C4", "r1": "R"}
    assert " ".join(names.get(s.get("id"), s["seg"]) for s in question.layout) == ORDERS[order]
    one = {"image": dict(grid=torch.tensor((1, 4, 4))), "audio": dict(audio=0, samples=torch.tensor(16000))}
    media = {m.id: OmniLayout(model.model.config).of(m.role, m.index, m.kind, one[m.kind]) for m in question.media}
    made = prompt.build(question, model.tokenizer, world.SYSTEM_PROMPT, media, UNIONS["items"])
    spans = made.spans
    covered = torch.cat(list(spans.atoms.values())).sort().values
    assert torch.equal(covered, torch.arange(spans.length))
    text = lambda name: model.tokenizer.decode(made.ids[spans[name]])  # noqa: E731
    words = "Out of the four pictures, which one matches the sound?"
    assert " ".join(text("question_text").split()) in (
        words,
        words.replace("pictures,", "pictures ,").replace("sound?", "sound ?"),
    )
    assert text("correct_option").strip() == "D. the third image" and text("option_D.letter") == "D"
    assert torch.equal(spans["correct_candidate"], spans["candidate_3"]) and len(spans["candidate_3"]) == 4
    assert len(spans["reference"]) == 25
    place = {"R": spans["reference"], "C": spans["candidates"], "O": spans["options"], "Q": spans["question_text"]}
    before = lambda a, b: int(place[a].max()) < int(place[b].min())  # noqa: E731
    assert before("R", "C") == (order == "reference_first")
    assert before("R", "O") == (order != "reference_last") and before("O", "R") == (order == "reference_last")
    assert before("Q", "C") == (order == "question_first")
    assert before("C", "Q") == (order in ("default", "eq3", "reference_first", "reference_last"))


def test_a_clip_after_its_question_leaves_only_the_tail_behind_it(model):
    question = layouts.arrange(video_question(), "question_first")
    features = dict(grid=torch.tensor((4, 4, 4)), seconds_per_grid=torch.tensor(1.0), audio=0, samples=torch.tensor(64000))
    layout = OmniLayout(model.model.config).of("video", 1, "video", features)
    spans = prompt.build(question, model.tokenizer, world.SYSTEM_PROMPT, {"v1": layout}, UNIONS["av_video"]).spans
    after = spans["question"][spans["question"] > spans["audio"].max()]
    assert torch.equal(after, spans["tail"]) and int(spans["last"]) == spans.length - 1
    assert int(spans["options"].max()) < int(spans["video"].min())


def test_no_token_behind_the_clip_is_outside_the_configured_question_but_the_last(model):
    unions = yaml.safe_load((ROOT / "config.yaml").read_text())["spans"]["av_video"]
    features = dict(grid=torch.tensor((4, 4, 4)), seconds_per_grid=torch.tensor(1.0), audio=0, samples=torch.tensor(64000))
    layout = OmniLayout(model.model.config).of("video", 1, "video", features)
    spans = prompt.build(video_question(), model.tokenizer, world.SYSTEM_PROMPT, {"v1": layout}, unions).spans
    behind = range(int(max(spans["audio"].max(), spans["video"].max())) + 1, spans.length - 1)
    outside = sorted(set(behind) - set(spans["question"].tolist()) - set(spans["delimiter"].tolist()))
    assert len(spans["tail"]) >= 2 and outside == []


def test_a_layout_that_a_setting_does_not_have_is_refused():
    with pytest.raises(
        InputError, match="layout 'reference_first' is unknown in setting av_video; known: default, question_first"
    ):
        layouts.arrange(video_question(), "reference_first")
    bare = Question(**{**vars(items_question("image-to-audio")), "question_raw": ""})
    with pytest.raises(Unusable, match="no media tags say where its media stand in the sentence"):
        layouts.arrange(bare, "original")


def test_a_span_that_does_not_exist_is_named_with_those_that_do(sequences):
    spans = next(iter(sequences.values())).spans
    with pytest.raises(InputError, match="span 'auido' does not exist; this sequence has system, delimiter"):
        spans["auido"]


def test_a_letter_that_is_no_token_of_its_own_is_refused(model):
    question = video_question()
    words = {"A": "Yes", "B": "No", "C": "True", "D": "False"}  # in tiny-omni's vocabulary each takes several tokens
    options = tuple(o.__class__(words[o.label], o.text) for o in question.options)
    changed = Question(**{**vars(question), "options": options, "answer": words[question.answer]})
    layout = OmniLayout(model.model.config).of(
        "video", 1, "video", dict(grid=torch.tensor([4, 4, 4]), seconds_per_grid=torch.tensor(1.0))
    )
    with pytest.raises(Unusable, match="letter Yes is not a single token in this prompt; give the options other labels"):
        prompt.build(changed, model.tokenizer, world.SYSTEM_PROMPT, {"v1": layout})


@pytest.mark.parametrize("labels", ["ABCD", "EFGH", "wxyz", "1234", "9870", "DCBA"])
@pytest.mark.parametrize("form", ["{label}. {text}", "{label}: {text}", "{text} ({label})"])
def test_letters_and_digits_are_read_where_they_stand(model, labels, form):
    question = video_question()
    options = tuple(o.__class__(label, o.text) for o, label in zip(question.options, labels))
    layout = tuple({**s, "format": form} if s["seg"] == "options" else s for s in question.layout)
    changed = Question(**{**vars(question), "options": options, "answer": labels[2], "layout": layout})
    features = dict(grid=torch.tensor([4, 4, 4]), seconds_per_grid=torch.tensor(1.0))
    placed = {"v1": OmniLayout(model.model.config).of("video", 1, "video", features)}
    made = prompt.build(changed, model.tokenizer, world.SYSTEM_PROMPT, placed, UNIONS["av_video"])
    assert [model.tokenizer.decode([i]) for i in made.letter_ids] == list(labels)
    for label, option in zip(labels, options):
        assert model.tokenizer.decode(made.ids[made.spans[f"option_{label}"]]).rstrip() == form.format(
            label=label, text=option.text
        )
        assert model.tokenizer.decode(made.ids[made.spans[f"option_{label}.letter"]]) == label
    assert torch.equal(made.spans["correct_option"], made.spans[f"option_{labels[2]}"])
    assert torch.equal(made.spans["options"], torch.cat([made.spans[f"option_{x}"] for x in labels]).sort().values)
    assert len(made.spans["option_J"]) == 0, "an option that this question does not have is empty"


def test_a_text_that_holds_a_special_token_of_this_model_alone_is_refused(model, monkeypatch):
    features = dict(grid=torch.tensor([4, 4, 4]), seconds_per_grid=torch.tensor(1.0))
    placed = {"v1": OmniLayout(model.model.config).of("video", 1, "video", features)}
    monkeypatch.setattr(model.tokenizer, "get_added_vocab", lambda: {"<extra_0>": 1})
    question = video_question()
    layout = tuple({**s, "text": "Is it <extra_0>?"} if s["seg"] == "question" else s for s in question.layout)
    with pytest.raises(Unusable, match="a text holds <extra_0>, a special token of this model") as caught:
        prompt.build(Question(**{**vars(question), "layout": layout}), model.tokenizer, world.SYSTEM_PROMPT, placed)
    assert caught.value.reason == "special_tokens"


def test_a_prompt_of_more_tokens_than_the_model_takes_is_left_out_with_the_reason(sequences, model, monkeypatch):
    sequence = next(iter(sequences.values()))
    features = {m.media_id: {} for m in sequence.question.media}
    monkeypatch.setattr(model, "layout", SimpleNamespace(of=lambda *_: MediaLayout((), torch.zeros(3, 0, dtype=torch.int64), 0)))
    text = len(model.sequence(sequence.question, features))
    monkeypatch.setattr(model, "max_tokens", text)
    assert len(model.sequence(sequence.question, features)) == text
    monkeypatch.setattr(model, "max_tokens", text - 1)
    with pytest.raises(Unusable, match=f"its prompt has {text} tokens, more than the {text - 1} of this model; set") as caught:
        model.sequence(sequence.question, features)
    assert caught.value.reason == "too_many_tokens"
    monkeypatch.setattr(model, "max_tokens", None)
    monkeypatch.setattr(model.decoder.config, "max_position_embeddings", 10)
    with pytest.raises(Unusable, match="more than the 10 of this model"):
        model.sequence(sequence.question, features)


def test_chunks_break_where_an_id_reaches_the_next_two_seconds():
    assert chunks(torch.tensor([0, 0, 25, 25, 50, 50, 75]), 50) == [(0, 4), (4, 7)]
    assert chunks(torch.tensor([0, 75, 150]), 50) == [(0, 1), (1, 2), (2, 3)]


def official_chunks(times):
    return Qwen2_5OmniProcessor.get_chunked_index(None, times, 50)


def grid_times(fps):
    return grid_positions([384, 2, 2], 2, 2 / fps, 25)[0]


@pytest.mark.parametrize("divisor", range(1, 13))
def test_the_rates_that_sampling_gives_are_chunked_alike_by_processor_model_and_us(divisor):
    fps = sampling.sample_times(384.0 * divisor, 2.0, 768)[1]
    assert fps == 2 / divisor
    processors = official_chunks(np.arange(384) * (2 / fps) * 25)
    models = (torch.arange(384) * torch.tensor(2 / fps).float() * 25).long()
    assert torch.equal(grid_times(fps), models)
    assert chunks(grid_times(fps), 50) == processors == official_chunks(models.numpy())


def test_at_the_rates_of_qwen_omni_utils_processor_and_model_disagree_only_where_a_clip_lasts_400_s():
    record, differ, count = json.loads((ROOT / "tests/data/qwen_omni_utils.json").read_text())["frames"], set(), 0
    for rate, cases in record.items():
        for pictures, case in cases.items():
            if case:
                grids, seconds = len(case["indices"]) // 2, 2 / case["fps"]
                ours = chunks(grid_positions([grids, 2, 2], 2, seconds, 25)[0], 50)
                models = (torch.arange(grids) * torch.tensor(seconds).float() * 25).long()
                assert ours == official_chunks(models.numpy())
                count += 1
                if ours != official_chunks(np.arange(grids) * seconds * 25):
                    differ.add((rate, int(pictures)))
    assert count == 100 and differ == {(rate, 400 * int(rate)) for rate in ("24", "25", "30", "50", "60")}


@pytest.mark.parametrize("rate", [24000 / 1001, 25, 30000 / 1001, 60])
def test_no_grid_of_a_clip_up_to_ten_minutes_is_torn_in_two_and_at_min_fps_half_it_is(rate):
    def torn(seconds, how):
        pictures = int(seconds * rate)
        planned = plan(Clip(pictures, pictures / rate, rate, 720, 1280, 16000 * int(seconds), 768), how)
        times = grid_positions([planned.count // 2, 4, 4], 2, 2 / planned.fps, 25)[0]
        return any(start % 4 for start, _ in chunks(times, 50))

    official = Sampling.of(yaml.safe_load((ROOT / "config.yaml").read_text())["sampling"]["omni-default"])
    assert not any(torn(seconds, official) for seconds in (3, 5.9, 10, 61.7, 125, 219, 221.3, 300.9, 384, 451, 599.5, 600))
    assert torn(600, replace(official, min_fps=0.5))


def test_where_processor_and_model_disagree_we_follow_the_model():
    """At 1.04 frames a second float64, of the processor, and float32, of the model, start some chunks at other grids."""
    processors = official_chunks(np.arange(384) * (2 / 1.04) * 25)
    models = official_chunks((torch.arange(384) * torch.tensor(2 / 1.04).float() * 25).long().numpy())
    assert processors != models
    assert chunks(grid_times(1.04), 50) == models
