"""Resample patching: the source's keys and values come from another clip's run, and nothing else changes.

Also tests avflow.tracing.kept_keys.
"""

import copy
import dataclasses
import itertools
from types import SimpleNamespace

import pytest
import torch
from conftest import UNIONS
from tracing_cases import HEAR, in_dtype, one_kernel

from avflow.errors import InputError
from avflow.questions import pairs
from avflow.tracing import decoder, knockout, paired, resampling, segments
from avflow.tracing.decoder import causal_mask, clean_run
from avflow.tracing.interventions import Knockout, Route, Window, windows

OTHER = "mini_video__hear_0002"
LAYERS, HEADS = 12, 3


def relative(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


def patches(*routes, stride=4, **more):
    return [Knockout(Route.parse(r), w, "resample", **more) for r in routes for w in windows(LAYERS, 3, stride=stride)]


def naive(model, sequence, other, ks):
    return knockout.naive(model, sequence, ks, knockout.resolve(sequence, ks), other=other)


def sweep(model, sequence, other, ks, rows=100000):
    edges = knockout.resolve(sequence, ks)
    run = clean_run(model, sequence, knockout.first_row(sequence, edges))
    run = dataclasses.replace(run, other=clean_run(model, other, len(other) - 1))
    return knockout.sweep(model, sequence, run, ks, edges, knockout.Plan(rows, {}))


@pytest.fixture
def pair(sequences):
    """A question, and the same question about another clip of the same size."""
    one, other = sequences[HEAR], sequences[OTHER]
    embeds = one.embeds.clone()
    for name in ("video", "audio"):
        embeds[one.spans[name]] = other.embeds[other.spans[name]]
    return one, dataclasses.replace(one, embeds=embeds)


@pytest.mark.parametrize("route", ["audio->question", "question->last", "audio<->video"])
def test_a_patch_with_its_own_clips_keys_equals_the_null_row_bit_for_bit(model, pair, route):
    one, other = pair
    ks = patches(route)
    logits, base = naive(model, one, one, ks)
    assert torch.equal(logits, base)
    if "<->" not in route:
        logits, base = sweep(model, one, one, ks)
        assert torch.equal(logits, base)
    logits, base = sweep(model, one, other, ks)
    assert relative(logits, base) > 1e-3, "another clip's keys matter"


def test_a_patch_of_sound_and_sight_in_all_layers_is_the_other_clips_run(model, pair):
    """Its question reads nothing else of the clip, so it answers as the other run does."""
    one, other = pair
    spans, every = copy.copy(one.spans), Window(0, LAYERS, 0, "bottom_up", 1)
    media = torch.cat([spans["video"], spans["audio"]]).sort().values
    spans.parts = {**spans.parts, "media": media, "behind": torch.arange(int(media[-1]) + 1, len(one))}
    one, mask = dataclasses.replace(one, spans=spans), causal_mask(len(one))[None]
    (full,) = decoder.masked_run(model, other, lambda _: mask)
    for engine in (naive, sweep):
        (logits,), (base,) = engine(model, one, other, [Knockout(Route("media", "behind"), every, "resample")])
        assert relative(logits, full) < 1e-5 and relative(base, full) > 1e-2


def test_in_fp64_the_sweep_of_patches_equals_full_forwards_to_ten_digits(model, pair, monkeypatch):
    last = lambda model, states: model.head(model.decoder.norm(states))  # noqa: E731
    for module in (decoder, knockout, resampling):
        monkeypatch.setattr(module, "last_logits", last)
    exact = in_dtype(model, torch.float64)
    one, other = (dataclasses.replace(s, embeds=s.embeds.double()) for s in pair)
    heads = tuple(itertools.product(range(3, 6), (0, 2)))
    ks = [*patches("audio->question", "question->last", stride=6), *patches("cross_frame", "audio<->video", stride=11)]
    ks.append(Knockout(Route.parse("audio->question"), windows(LAYERS, 3)[4], "resample", heads=heads))
    full, base = naive(exact, one, other, ks)
    mixed = [*ks, Knockout(Route.parse("audio->question"), windows(LAYERS, 3)[4])]
    for rows in (300, 100000):
        assert relative(sweep(exact, one, other, mixed, rows)[0][:-1], full) < 1e-10
    own, null = sweep(exact, one, one, patches("audio<->video", stride=6))
    assert relative(own, null) < 1e-10 and relative(full, base) > 1e-3


def test_patches_in_one_kernel_per_call_equal_the_batched_ones(model, pair, monkeypatch):
    ks = patches("audio->question", "question->last")
    batched = sweep(model, *pair, ks)
    monkeypatch.setattr(segments, "takes_segments", lambda *_: True)
    monkeypatch.setattr(segments, "in_one_kernel", one_kernel)
    assert all(relative(*some) < 1e-5 for some in zip(sweep(model, *pair, ks), batched))


def test_what_cannot_be_patched_is_one_line(model, pair, sequences):
    one, other = pair
    ks = patches("audio->question")[:1]
    for engine in (lambda: naive(model, one, None, ks), lambda: knockout.rows(model, one, ks, knockout.plan(model))):
        with pytest.raises(InputError, match=f"question {HEAR}: cut 'resample' needs the run of another clip"):
            engine()
    with pytest.raises(InputError, match="encode it on this one's grid and length"):
        knockout.rows(model, one, ks, knockout.plan(model), other=sequences["mini_video__while-hear_0001"])
    with pytest.raises(InputError, match="route question->question: cut 'resample' needs a source without tokens of the target"):
        naive(model, one, other, patches("question->question")[:1])


@pytest.fixture
def patched(model, questions, world_files):
    """Rows of resample.py for a question: its partner's clip, decoded from a file, takes part in both directions."""
    import resample
    from avflow import media
    from avflow.media import encoder_inputs

    class Store:
        def of(self, question):
            found = {}
            for item in question.media:
                frames, fps = media.read_frames(world_files / "mini-video" / item.path, 2, 768)
                sound = torch.from_numpy(media.read_audio(world_files / "mini-video" / item.path))
                frames = encoder_inputs.resize_video(torch.from_numpy(frames), 56, 56)
                found[item.media_id] = {"frames": frames, "fps": torch.tensor(fps), "audio": sound}
            return found

    def rows(asked, other, **changes):
        given = dict(width=3, stride=5, routes=[Route.parse("audio->question")], engine="sweep", seed=0, model="m", spans=UNIONS)
        partial = SimpleNamespace(recall=lambda name: None, remember=lambda *_: None)
        media = [paired.arrays(Store().of(question)) for question in (asked, other)]
        return resample.patch(model, asked, other, media, SimpleNamespace(**given | changes), partial)

    pool = [q for q in questions.values() if q.task == "hear"]
    asked = questions[HEAR]
    return rows, asked, pairs.partner(asked, pool, 0)


def test_the_heard_answer_follows_the_patched_sound_in_both_directions(patched):
    rows, asked, other = patched
    table = rows(asked, other)
    kinds = [(direction, control) for direction in ("corrupt", "restore") for control in ("null", *["none"] * 3)]
    assert [(r["direction"], r["control"]) for r in table] == kinds
    assert {(r["partner"], r["partner_answer"]) for r in table} == {(other.question_id, pairs.label_in(asked, other))}
    assert {r["cut"] for r in table if r["control"] == "none"} == {"resample"}
    corrupt, restore = table[:4], table[4:]
    assert corrupt[0]["logp_gold"] == corrupt[0]["logp_gold_clean"] > corrupt[0]["logp_partner_clean"]
    assert restore[0]["logp_partner_clean"] > restore[0]["logp_gold_clean"], "uncut, each run gives its own clip's answer"
    change = lambda rows, name: [r[f"logp_{name}"] - r[f"logp_{name}_clean"] for r in rows]  # noqa: E731
    assert min(change(corrupt, "gold")) < -1 < 1 < max(change(corrupt, "partner"))
    assert max(change(restore, "gold")) > 1
    full = rows(asked, other, engine="naive")
    for name in ("logp_gold", "logp_partner", "kl"):
        assert [r[name] for r in table] == pytest.approx([r[name] for r in full], rel=1e-3, abs=1e-3)
