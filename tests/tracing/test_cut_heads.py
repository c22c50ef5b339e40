"""Cuts in some heads only: other heads attend as if nothing were cut, in full forwards and in the sweep."""

import dataclasses
import itertools
import math

import pytest
import torch
from tracing_cases import HEAR, MATCH, in_dtype, one_kernel

from avflow.errors import InputError
from avflow.tracing import decoder, knockout, segments
from avflow.tracing.decoder import causal_mask, clean_run
from avflow.tracing.interventions import Knockout, Route, Window, windows

HEADS, LAYERS = 3, 12
ALL = Window(0, LAYERS, 0, "bottom_up", 1)
SOME = ((2, 0), (2, 2), (5, 1), (9, 0), (9, 1), (9, 2))  # in layers 2, 5 and 9


def relative(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


def naive(model, sequence, ks):
    return knockout.naive(model, sequence, ks, knockout.resolve(sequence, ks))


def sweep(model, sequence, ks, rows=100000):
    edges = knockout.resolve(sequence, ks)
    run = clean_run(model, sequence, knockout.first_row(sequence, edges))
    return knockout.sweep(model, sequence, run, ks, edges, knockout.Plan(rows, {}))


def in_heads(route, window, *heads, cut="mask"):
    pairs = tuple(itertools.product(filter(window.covers, range(LAYERS)), heads))
    return Knockout(Route.parse(route), window, cut, heads=pairs)


def each(route, stride=4, cut="mask"):
    return [in_heads(route, window, head, cut=cut) for window in windows(LAYERS, 1, stride=stride) for head in range(HEADS)]


@pytest.fixture(scope="module")
def exact(model):
    return in_dtype(model, torch.float64)


@pytest.fixture
def wide(monkeypatch):
    """Logits in the dtype of the states."""
    last = lambda model, states: model.head(model.decoder.norm(states))  # noqa: E731
    monkeypatch.setattr(decoder, "last_logits", last)
    monkeypatch.setattr(knockout, "last_logits", last)


def double(sequence):
    return dataclasses.replace(sequence, embeds=sequence.embeds.double())


def test_a_cut_in_one_head_changes_what_this_head_writes_and_no_other(model, sequences):
    """In one layer, the official forward with the head's own part of the attention's output from a cut forward."""
    sequence, layer, head = sequences[HEAR], 7, 1
    window, attention = Window(layer, layer + 1, layer, "centred", 1), model.decoder.layers[layer].self_attn
    mask = causal_mask(len(sequence))
    closed = mask & ~Route.parse("audio->question").edges(sequence.spans).cut(torch.arange(len(sequence)), len(sequence))
    part, written = slice(head * attention.head_dim, (head + 1) * attention.head_dim), []

    def forward(*hooks):
        handles = [module.register_forward_pre_hook(hook, with_kwargs=True) for module, hook in hooks]
        try:
            with torch.inference_mode():
                made = model.decoder(
                    inputs_embeds=sequence.embeds[None], position_ids=sequence.positions[:, None], use_cache=False
                )
            return model.head(made.last_hidden_state[0, -1])
        finally:
            for handle in handles:
                handle.remove()

    def hide(module, args, kwargs):
        return args, {**kwargs, "attention_mask": closed[None, None]}

    def keep(module, args, kwargs):
        written.append(args[0].clone())

    def put(module, args, kwargs):
        mixed = args[0].clone()
        mixed[..., part] = written[0][..., part]
        return (mixed,), kwargs

    forward((model.decoder.layers[layer], hide), (attention.o_proj, keep))
    official = forward((attention.o_proj, put))
    for engine in (naive, sweep):
        logits, base = engine(model, sequence, [in_heads("audio->question", window, head)])
        assert relative(logits[0], official) < 1e-5 < 1e-3 < relative(logits[0], base[0])


@pytest.mark.parametrize(
    ("name", "route"),
    [(HEAR, "question->last"), (HEAR, "audio->question"), pytest.param(MATCH, "cross_candidate", marks=pytest.mark.slow)],
)
def test_in_fp64_the_sweep_of_heads_equals_full_forwards_to_ten_digits(exact, sequences, wide, name, route):
    sequence = double(sequences[name])
    ks = [k for cut in ("mask", "value_zero") for k in each(route, 6, cut)]
    ks += [Knockout(Route.parse(route), ALL, heads=SOME), Knockout(Route.parse(route), windows(LAYERS, 3)[4])]
    ks += [in_heads(route, windows(LAYERS, 3)[6], 0, 2)]
    full, base = naive(exact, sequence, ks)
    rows = 300 if route == "audio->question" else 100000  # several passes, or one
    assert relative(sweep(exact, sequence, ks, rows)[0], full) < 1e-10
    assert relative(full, base) > 1e-3, "some cut must matter"
    assert min(relative(a, b) for a, b in itertools.combinations(full[:HEADS], 2)) > 1e-8, "heads differ"


@pytest.mark.parametrize("route", ["question->last", pytest.param("audio<->video", marks=pytest.mark.slow)])
def test_all_heads_together_are_the_whole_cut(exact, sequences, wide, route):
    sequence, window = double(sequences[HEAR]), windows(LAYERS, 3)[5]
    for cut in ("mask", "value_zero"):
        ks = [Knockout(Route.parse(route), window, cut), in_heads(route, window, *range(HEADS), cut=cut)]
        for engine in (naive, sweep):
            (whole, together), base = engine(exact, sequence, ks)
            assert relative(together, whole) < 1e-10 and relative(whole, base[0]) > 1e-4


@pytest.mark.slow
def test_in_bf16_the_sweep_of_heads_is_no_further_from_fp32_than_full_forwards(model, sequences):
    """By its logits: the effects of single heads are hardly larger than rounding."""
    half, errors = in_dtype(model, torch.bfloat16), {"naive": [], "sweep": []}
    for name, route in ((HEAR, "question->last"), (HEAR, "audio->question"), (MATCH, "candidates->reference")):
        sequence = dataclasses.replace(sequences[name], embeds=sequences[name].embeds.bfloat16())
        ks = each(route, 6)
        true, _ = naive(model, sequences[name], ks)
        for engine in (naive, sweep):
            errors[engine.__name__].append((engine(half, sequence, ks)[0] - true).abs())
    mean = {name: torch.cat(found).mean().item() for name, found in errors.items()}
    assert mean["sweep"] < 1.1 * mean["naive"] and mean["naive"] > 1e-4


def test_a_sweep_of_heads_in_one_kernel_per_call_equals_the_batched_one(model, sequences, monkeypatch):
    ks = [*each("audio->question"), *each("question->last"), Knockout(Route.parse("audio->question"), ALL, heads=SOME)]
    batched = sweep(model, sequences[HEAR], ks)
    monkeypatch.setattr(segments, "takes_segments", lambda *_: True)
    monkeypatch.setattr(segments, "in_one_kernel", one_kernel)
    assert all(relative(*pair) < 1e-5 for pair in zip(sweep(model, sequences[HEAR], ks), batched))


def test_heads_outside_the_window_cut_nothing(model, sequences):
    ks = [Knockout(Route.parse("question->last"), windows(LAYERS, 3)[5], heads=((9, 0),))]
    for engine in (naive, sweep):
        logits, base = engine(model, sequences[HEAR], ks)
        assert torch.equal(logits, base)
    null, row = knockout.rows(model, sequences[HEAR], ks, knockout.plan(model))
    assert math.isnan(row["removed_mass"]) and row["n_blocked_edges"] > 0 and null["heads"] == "all"


def test_a_head_that_the_model_lacks_is_one_line(model, sequences):
    ks = [Knockout(Route.parse("question->last"), ALL, heads=((4, 3),))]
    for engine in (naive, sweep):
        with pytest.raises(InputError, match="layer 4, head 3: the model has 12 layers with 3 heads each"):
            engine(model, sequences[HEAR], ks)


@pytest.mark.parametrize("route", ["question->last", "cross_frame"])
def test_the_share_of_attention_that_each_head_loses_has_the_whole_cuts_mean(model, sequences, route):
    window = windows(LAYERS, 3)[5]
    ks = [Knockout(Route.parse(route), window), *(in_heads(route, window, head) for head in range(HEADS))]
    _, whole, *heads = knockout.rows(model, sequences[HEAR], ks, knockout.plan(model))
    assert [row["heads"] for row in (whole, *heads)] == ["all", "0", "1", "2"]
    shares = [row["removed_mass"] for row in heads]
    assert sum(shares) / HEADS == pytest.approx(whole["removed_mass"], rel=1e-5)
    assert len({round(share, 4) for share in shares}) == HEADS
    alone = knockout.rows(model, sequences[HEAR], ks[:1], knockout.plan(model))[1]
    assert alone["removed_mass"] == pytest.approx(whole["removed_mass"], rel=1e-5)


def test_questions_about_one_clip_share_cuts_of_heads(model, sequences):
    """Two prompts that part at the question: cuts among the shared tokens are computed once."""
    pair = [sequences[HEAR], sequences["mini_video__see_0001"]]
    ks = [*each("cross_frame", 6), *each("question->last", 6)]
    packed = knockout.rows_of_questions(model, pair, [ks, ks], knockout.plan(model))
    for sequence, table in zip(pair, packed):
        single = knockout.rows(model, sequence, ks, knockout.plan(model))
        for name in ("logp_base", "removed_mass", "kl"):
            assert [row[name] for row in table] == pytest.approx([row[name] for row in single], rel=1e-3, abs=1e-4)


def test_a_sweep_without_heads_plans_no_second_attention(model, sequences, monkeypatch):
    seen, schedule = [], knockout.schedule

    def noted(*given):
        steps, ends = schedule(*given)
        seen.extend(step.attention.heads is not None for step in steps)
        return steps, ends

    monkeypatch.setattr(knockout, "schedule", noted)
    ks = [Knockout(Route.parse("audio->question"), window) for window in windows(LAYERS, 3)]
    sweep(model, sequences[HEAR], ks)
    assert seen == [False] * LAYERS
    seen.clear()
    sweep(model, sequences[HEAR], [*ks, in_heads("audio->question", windows(LAYERS, 1)[4], 1)])
    assert seen == [layer == 4 for layer in range(LAYERS)]
