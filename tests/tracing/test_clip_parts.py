"""Times and places of a clip as sources: their tokens, cuts that equal full forwards, and facts planted in a clip's features.

Also tests the script where.py and avflow.tracing.token_attention.
"""

from dataclasses import replace
from types import SimpleNamespace

import examples
import pytest
import torch
from tracing_cases import in_dtype, official_weights

import where
from avflow.errors import InputError, Unusable
from avflow.questions import MediaItem, Question
from avflow.tracing import Knockout, Route, clean_run, clip_parts, knockout, windows
from avflow.tracing.clip_parts import Clip, slices
from avflow.tracing.token_attention import token_attention

UNIONS = {"av_video": {"question": ["instruction", "question_text", "options", "tail"]}}


def clip_of(model, question, features=None):
    features = examples.encoded(model, question) if features is None else features
    sequence = model.sequence(question, features, UNIONS["av_video"])
    return sequence, Clip.of(model, sequence, features), features


@pytest.fixture(scope="module", params=["omni", "salmonn"])
def laid_out(request, model, salmonn):
    """(model, sequence, clip): noise of 4 s in 8 temporal grids, and a sound."""
    asked = {"omni": model, "salmonn": salmonn}[request.param]
    return (asked, *clip_of(asked, examples.video_question())[:2])


def test_slices_cover_everything_once_and_are_of_nearly_equal_length():
    assert slices(8, 16) == [(i, i + 1) for i in range(8)] and slices(7, 3) == [(0, 2), (2, 4), (4, 7)] and slices(0, 4) == []


def test_each_kind_of_source_holds_every_token_of_its_sense_once(laid_out):
    _, sequence, clip = laid_out
    parts = clip.parts(8, 4, 32)
    assert [part.name for part in parts if part.source == "video.tile"] == [f"video.tile_{r}_{c}" for r in (0, 1) for c in (0, 1)]
    counts = {source: sum(part.source == source for part in parts) for source in clip_parts.SOURCES}
    assert counts == {"audio.time": 8, "video.time": 8, "video.tile": 4, "video.cell": 32}
    for source in clip_parts.SOURCES:
        tokens = torch.cat([part.tokens for part in parts if part.source == source]).sort().values
        whole = sequence.spans["video"] if source.startswith("video") else clip.sound
        assert tokens.tolist() == whole.tolist()
    assert not set(clip.sound.tolist()) & set(
        sequence.spans["audio_padding"].tolist() if "audio_padding" in sequence.spans else []
    )


def test_slices_of_time_are_those_of_the_models_own_grids_and_segments(laid_out):
    model, sequence, clip = laid_out
    parts = {part.name: part for part in clip.parts(8, 4, 32)}
    for i in range(8):
        grid = parts[f"video.time_{i}"]
        assert grid.tokens.tolist() == sequence.spans[f"frame_{i}"].tolist()
        assert (grid.start, grid.stop) == pytest.approx((i / 2, (i + 1) / 2))  # 16 frames at 4 per second, two a grid
        sound = parts[f"audio.time_{i}"]
        assert (sound.start, sound.stop) == pytest.approx((i / 2, (i + 1) / 2), abs=0.04)
    assert parts["video.cell_3_1_0"].tokens.tolist() == [int(sequence.spans["frame_3"][2])]
    assert parts["video.cell_3_1_0"].box == (0, 0.5, 0.5, 1) and parts["video.tile_0_1"].box == (0.5, 0, 1, 0.5)
    tile = [int(sequence.spans[f"frame_{i}"][1]) for i in range(8)]
    assert parts["video.tile_0_1"].tokens.tolist() == tile and parts["video.tile_0_1"].stop == pytest.approx(4)


def test_neighbours_share_a_part_where_there_are_too_many():
    clip = Clip(torch.arange(5 * 6 * 4).view(5, 6, 4), torch.empty(0, dtype=torch.int64), (1.0, 0.04))
    parts = clip.parts(2, 6, 5)
    counts = {source: [len(p.tokens) for p in parts if p.source == source] for source in clip_parts.SOURCES}
    assert counts["video.time"] == [48, 72] and counts["audio.time"] == []
    assert sum(counts["video.tile"]) == sum(counts["video.cell"]) == 120
    assert len(counts["video.tile"]) == 6 and len(counts["video.cell"]) <= 5
    for most in range(1, 30):
        wide = [p for p in Clip(clip.frames.transpose(1, 2), clip.sound, (1.0, 0.04)).parts(3, most, most) if p.box]
        assert sum(p.source == "video.tile" for p in wide) <= most and sum(p.source == "video.cell" for p in wide) <= most
        assert sum(len(p.tokens) for p in wide) == 240


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_cuts_of_parts_in_a_sweep_equal_full_forwards(laid_out, dtype):
    model = in_dtype(laid_out[0], dtype)
    sequence, clip, _ = clip_of(model, examples.video_question())
    every = clip.parts(4, 4, 8)
    parts = [part for part in every if part.name in ("audio.time_1", "video.time_2", "video.tile_0_1", "video.cell_1_1_0")]
    sequence, layers = clip_parts.named(sequence, every), len(model.decoder.layers)
    asked = [*windows(layers, 1, "top_down", layers), windows(layers, 3)[5]]
    names = [name for part in parts for name in (part.name, f"{part.name}.rest")]
    cuts = [Knockout(Route(name, target), w) for target in ("question", "last") for name in names for w in asked]
    edges = knockout.resolve(sequence, cuts)
    run = clean_run(model, sequence, knockout.first_row(sequence, edges))
    swept, bases = knockout.sweep(model, sequence, run, cuts, edges, knockout.plan(model))
    named, base = knockout.naive(model, sequence, cuts, edges)
    bound = (1e-10 if dtype == torch.float64 else 1e-5) * float(named.abs().max())
    assert (swept - named).abs().max() <= bound and (bases - base).abs().max() <= bound
    assert (named - base).abs().max() > 1e3 * bound, "the cuts must change something, or nothing is compared"


def test_a_map_costs_no_more_rows_than_as_many_windows_of_one_route(laid_out, monkeypatch):
    """All parts begin at the question's first row, so they share one null row and no row before the question is recomputed."""
    model, sequence, clip = laid_out
    parts, passes = clip.parts(4, 4, 8), []
    sequence, window = clip_parts.named(sequence, parts), windows(len(model.decoder.layers), 3)[:1]
    cuts = [Knockout(Route(part.name, "question"), w) for part in parts for w in window]
    edges = knockout.resolve(sequence, cuts)
    real = knockout.schedule
    monkeypatch.setattr(knockout, "schedule", lambda members, *rest: passes.append(members) or real(members, *rest))
    first = int(sequence.spans["question"][0])
    knockout.sweep(model, sequence, clean_run(model, sequence, first), cuts, edges, knockout.plan(model))
    assert [len(members) for members in passes] == [1 + len(parts)]
    assert {job.first for job in passes[0]} == {first}


# Planted facts.


def kept(model, sequence, clip, source):
    """Part -> the answer's log-probability if the question sees this part of its sense alone, minus that of the clean run."""
    parts = clip.parts(4, 4, 1)
    sequence, layers = clip_parts.named(sequence, parts), len(model.decoder.layers)
    names = [part.name for part in parts if part.source == source]
    cuts = [Knockout(Route(f"{name}.rest", "question"), *windows(layers, 1, "top_down", layers)) for name in names]
    null, *rows = knockout.rows(model, sequence, cuts, knockout.plan(model))
    return {name: row["logp_base"] - null["logp_base"] for name, row in zip(names, rows)}


def of_files(sequence):
    """The clip of a sequence of tiny-omni that came through the files: 4 grids of 2 x 2 tokens, and 25 tokens a second."""
    return Clip(sequence.spans["video"].view(-1, 2, 2), sequence.spans["audio"], (1.0, 0.04))


def test_the_rest_of_a_part_is_all_else_of_its_sense(laid_out):
    _, sequence, clip = laid_out
    parts = clip.parts(4, 4, 8)
    spans = clip_parts.named(sequence, parts).spans
    for part in parts:
        whole = clip.sound if part.sense == "audio" else sequence.spans["video"]
        assert sorted([*part.tokens.tolist(), *spans[f"{part.name}.rest"].tolist()]) == whole.tolist()


def test_the_second_in_which_a_sound_is_heard_is_enough_alone(model, questions, sequences):
    """Where the slices tell: a model that guesses right without the sound loses nothing."""
    found = []
    for name in sorted(q for q in questions if questions[q].task == "hear"):
        by_part = kept(model, sequences[name], of_files(sequences[name]), "audio.time")
        if min(by_part.values()) < -0.7:
            found.append(max(by_part, key=by_part.get) == f"audio.time_{int(questions[name].events[0]['start'])}")
    assert len(found) >= 3 and all(found)


def test_the_only_tile_that_shows_anything_is_enough_alone(model, questions, sequences):
    """All other tiles are those of grey pictures. One corner may hold too little of the shape."""
    grey = torch.full((8, 3, 56, 56), 128, dtype=torch.uint8)
    empty, found = model.encode("video", frames=grey, fps=2.0)["vision"], []
    for name in sorted(q for q in questions if questions[q].task == "see")[:2]:
        sequence, clip = sequences[name], of_files(sequences[name])
        for tile in range(4):
            embeds, seen = sequence.embeds.clone(), clip.frames.flatten(1)[:, tile]
            embeds[sequence.spans["video"]] = empty
            embeds[seen] = sequence.embeds[seen]
            by_part = kept(model, replace(sequence, embeds=embeds), clip, "video.tile")
            if min(by_part.values()) < -0.7:
                found.append(max(by_part, key=by_part.get) == f"video.tile_{tile // 2}_{tile % 2}")
    assert len(found) >= 3 and sum(found) >= len(found) - 1


# The script.


def options(**changes):
    given = dict(spans=UNIONS, times=4, tiles=4, cells=8, targets=["question", "last", "reply"], width=3, stride=12)
    return SimpleNamespace(**{**given, "engine": "sweep", "seed": 0, "model": "m", "tokens": True, "reply_tokens": 4, **changes})


class Nothing:
    """A partial file that remembers nothing."""

    def recall(self, name):
        return None

    def remember(self, name, fact):
        pass


def test_rows_name_their_part_its_time_its_tile_and_the_event(model):
    asked = Question(**{**vars(examples.video_question()), "events": ({"sense": "audio", "start": 1.0, "stop": 2.0},)})
    rows = where.trace(model, asked, examples.encoded(model, asked), Nothing(), options())
    null, cuts = rows[0], [row for row in rows if row["cut"] == "mask" and row["control"] == "none"]
    assert null["control"] == "null" and null["part"] is None
    assert len(cuts) == 2 * 2 * (4 + 4 + 4 + 4) * (1 + 1), "without a reply, two targets; one cut in all layers, one window"
    (one,) = (r for r in cuts if r["route"] == "video.tile_1_0->last" and r["style"] == "top_down")
    assert [one[k] for k in ("source", "part", "alone", "start", "stop")] == ["video.tile", "video.tile_1_0", False, 0.0, 4.0]
    (rest,) = (r for r in cuts if r["route"] == "video.tile_1_0.rest->last" and r["style"] == "top_down")
    assert rest["alone"] and rest["part"] == one["part"] and rest["n_blocked_edges"] == 3 * one["n_blocked_edges"]
    assert [one[k] for k in ("left", "top", "right", "bottom")] == [0, 0.5, 0.5, 1] and one["event_start"] is None
    assert {r["event_stop"] for r in cuts if r["source"] == "audio.time"} == {2.0}
    assert (one["window_start"], one["window_stop"]) == (0, len(model.decoder.layers))


def test_attention_by_token_is_that_of_the_official_code_and_of_the_sweep(laid_out):
    model, sequence, clip = laid_out
    run, target = clean_run(model, sequence, 0), sequence.spans["question"]
    found = token_attention(model, run, target)
    for layer in (0, 5):
        expected = official_weights(model, run, layer)[:, target].mean((0, 1))
        assert torch.allclose(found[layer], expected.float(), atol=1e-6) and found[layer].sum() == pytest.approx(1, abs=1e-5)
    parts = clip.parts(4, 4, 8)
    cuts = [Knockout(Route(part.name, "question"), w) for part in parts for w in windows(len(model.decoder.layers), 1, stride=5)]
    table = knockout.rows(model, clip_parts.named(sequence, parts), cuts, knockout.plan(model))[1:]
    tokens = {part.name: part.tokens for part in parts}
    for cut, row in zip(cuts, table):
        assert row["removed_mass"] == pytest.approx(float(found[cut.window.start][tokens[cut.route.source]].sum()), abs=1e-5)


def test_rows_about_attention_hold_every_token_of_both_senses(salmonn):
    asked = examples.video_question()
    sequence, clip, features = clip_of(salmonn, asked)
    rows = [r for r in where.trace(salmonn, asked, features, Nothing(), options()) if r["cut"] == "attention"]
    layers = len(salmonn.decoder.layers)
    assert len(rows) == 2 * 2 * layers and {r["centre"] for r in rows} == set(range(layers))
    shapes = {r["source"]: r["shape"] for r in rows}
    assert shapes == {"audio.token": [len(clip.sound)], "video.token": [8, 2, 2]}
    one = next(r for r in rows if r["source"] == "video.token" and r["route"] == "video->last" and r["centre"] == 7)
    expected = token_attention(salmonn, clean_run(salmonn, sequence, 0), sequence.spans["last"])[7][clip.frames.flatten()]
    assert one["values"] == pytest.approx(expected.tolist()) and one["stop"] == pytest.approx(4)
    none = where.trace(salmonn, asked, features, Nothing(), options(tokens=False))
    assert not [r for r in none if r["cut"] == "attention"]


def test_a_free_question_is_cut_from_its_reply_too(model):
    asked = examples.free_question()
    rows = where.trace(model, asked, examples.encoded(model, asked), Nothing(), options())
    (one,) = (r for r in rows if r["route"] == "audio.time_2->reply" and r["style"] == "top_down" and r["cut"] == "mask")
    assert one["applicable"] and one["logp_reply"] < 0 and one["reply_tokens"] > 1


def test_a_sound_alone_has_only_times_and_a_picture_alone_only_tiles(model, salmonn):
    for asked in (model, salmonn):
        for kind, sources in (("audio", {"audio.time"}), ("image", {"video.time", "video.tile", "video.cell"})):
            of = vars(examples.video_question())
            question = Question(**{**of, "media": (MediaItem("v1", "m", kind, "video", "m"),)})
            parts = clip_of(asked, question)[1].parts(8, 4, 32)
            assert {part.source for part in parts} == sources


def test_what_cannot_be_traced_is_one_line(model):
    asked = examples.video_question()
    features = examples.encoded(model, asked)
    with pytest.raises(Unusable, match="mini_video__while-see_0001 has no reader among its targets"):
        where.trace(model, asked, features, Nothing(), options(targets=["reply"]))
    with pytest.raises(InputError, match="span 'qestion' does not exist"):
        where.trace(model, asked, features, Nothing(), options(targets=["qestion"]))
