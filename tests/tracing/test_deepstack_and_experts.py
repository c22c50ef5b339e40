"""A decoder with key and query norms, experts and DeepStack: every engine gives what full forwards of the real class give.

Attention, the logit lens, maps, discards and replies of the same network are tested beside those of the other families.
"""

import dataclasses

import pytest
import torch
from conftest import UNIONS
from examples import encoded, video_question
from tracing_cases import in_dtype

from avflow.tracing import knockout, packs
from avflow.tracing.decoder import causal_mask, clean_run, entered, masked_run
from avflow.tracing.interventions import Knockout, Route, windows
from avflow.tracing.packs import Pack, shared_tokens

ROUTES = {
    "clip": ["audio->question", "video->last", "audio<->video", "cross_frame", "cross_audio_segment", "question->last"],
    "items": ["candidates->reference", "reference->last", "cross_candidate", "candidates->question"],
}
WINDOWS = [windows(12, 3)[i] for i in (0, 1, 2, 5, 11)]  # the first ones open before or between DeepStack's layers


def official(model, sequence, masks=None):
    """Logits of the last token by the official forward of the text model; masks: layer -> its mask, by hooks."""
    seen = torch.isin(
        sequence.ids, torch.tensor([model.tokenizer.convert_tokens_to_ids(t) for k, t in model.tokens.items() if k != "audio"])
    )
    hook = lambda number: lambda layer, args, given: (args, {**given, "attention_mask": masks(number)[None, None]})  # noqa: E731
    layers = enumerate(model.decoder.layers)
    handles = [layer.register_forward_pre_hook(hook(n), with_kwargs=True) for n, layer in layers] if masks else []
    try:
        with torch.inference_mode():
            states = model.decoder(
                inputs_embeds=sequence.embeds[None],
                position_ids=sequence.positions[:, None],
                visual_pos_masks=seen[None],
                deepstack_visual_embeds=[level[seen] for level in sequence.deepstack],
                use_cache=False,
            )
            return model.head(states.last_hidden_state[0, -1])
    finally:
        for handle in handles:
            handle.remove()


def relative(one, other) -> float:
    return float((one - other).abs().max() / other.abs().max())


def both(model, sequence, ks, other=None):
    """The logits of the sweep and those of full forwards."""
    edges = knockout.resolve(sequence, ks)
    run = clean_run(model, sequence, knockout.first_row(sequence, edges))
    if other is not None:
        run = dataclasses.replace(run, other=clean_run(model, other))
    swept, _ = knockout.sweep(model, sequence, run, ks, edges, knockout.Plan(100000, {}))
    return swept, knockout.naive(model, sequence, ks, edges, other=other)[0]


@pytest.mark.parametrize("kind", ROUTES)
def test_full_forwards_under_masks_are_the_official_forward(cases, kind):
    model, sequence = cases[f"qwen3 {kind}"]
    assert len(sequence.deepstack) == 3 and sequence.deepstack.abs().amax(2).bool().any(0).sum() >= 4
    opened = causal_mask(len(sequence))
    assert relative(masked_run(model, sequence, lambda _: opened[None])[0], official(model, sequence)) < 1e-5
    route, window = Route.parse(ROUTES[kind][0]), WINDOWS[1]
    closed = opened & ~route.edges(sequence.spans).cut(torch.arange(len(sequence)), len(sequence))
    ks = [Knockout(route, window)]
    (found,), (base,) = knockout.naive(model, sequence, ks, knockout.resolve(sequence, ks))
    assert relative(found, official(model, sequence, lambda n: closed if window.covers(n) else opened)) < 1e-5
    assert relative(found, base) > 1e-3, "the cut matters"


@pytest.mark.parametrize("kind", ROUTES)
def test_the_sweep_equals_full_forwards_for_every_kind_of_cut(cases, kind):
    model, sequence = cases[f"qwen3 {kind}"]
    routes = [Route.parse(r) for r in ROUTES[kind]]
    ks = [Knockout(r, w, cut) for r in routes for w in WINDOWS for cut in ("mask", "value_zero")]
    ks += [Knockout(r, w, "mask", "random_other") for r in routes[:2] for w in WINDOWS]
    ks += [Knockout(r, WINDOWS[2], heads=((1, 0), (2, 3), (3, 1))) for r in routes]
    edges = knockout.resolve(sequence, ks)
    ks = [k for k in ks if edges[k.target].count]
    swept, full = both(model, sequence, ks)
    assert relative(swept, full) < 1e-5
    opened = causal_mask(len(sequence))[None]
    clean = masked_run(model, sequence, lambda _: opened)
    assert ((full - clean).abs().amax(1) > 1e-3 * clean.abs().max()).float().mean() > 0.5, "most cuts matter"


@pytest.mark.parametrize("place", ["clean run", "sweep"])
def test_features_that_do_not_enter_are_noticed(cases, place, monkeypatch):
    model, sequence = cases["qwen3 clip"]
    ks = [Knockout(Route.parse("audio<->video"), w) for w in WINDOWS[:3]]
    if place == "sweep":
        monkeypatch.setattr(knockout, "entered", lambda x, *_: x)
        swept, full = both(model, sequence, ks)
    else:
        without = dataclasses.replace(sequence, deepstack=torch.zeros_like(sequence.deepstack))
        swept, full = both(model, without, ks)[0], both(model, sequence, ks)[1]
    assert relative(swept, full) > 1e-3


def test_what_enters_is_added_to_the_rows_that_are_asked_for():
    deepstack, states = torch.arange(24.0).view(2, 6, 2), torch.ones(3, 2)
    assert torch.equal(entered(states, deepstack, 1, slice(2, 5)), 1 + deepstack[1, 2:5])
    assert entered(states, deepstack, 2) is states


def test_patches_of_another_clips_keys_equal_full_forwards(qwen3):
    question = video_question()
    own, noise = encoded(qwen3, question), torch.Generator().manual_seed(5)
    other = {
        i: {**f, **{n: f[n] + f[n].std() * torch.randn(f[n].shape, generator=noise) for n in ("vision", "audio")}}
        for i, f in own.items()
    }
    mine, theirs = (qwen3.sequence(question, f, UNIONS[question.setting]) for f in (own, other))
    assert (theirs.deepstack != mine.deepstack).any()
    ks = [Knockout(Route.parse(r), w, "resample") for r in ("video->question", "audio->last") for w in WINDOWS]
    swept, full = both(qwen3, mine, ks, theirs)
    assert relative(swept, full) < 1e-5
    assert relative(full, knockout.naive(qwen3, mine, ks, knockout.resolve(mine, ks), other=theirs)[1]) > 1e-3


def test_rows_of_a_pack_equal_rows_one_by_one(qwen3):
    asked = [video_question(task) for task in ("see", "hear")]
    features = encoded(qwen3, asked[0])
    (clip,) = features.values()
    of = lambda q: qwen3.sequence(q, {m.media_id: clip for m in q.media}, UNIONS[q.setting])  # noqa: E731
    sequences = list(map(of, asked))
    ks = [Knockout(Route.parse(r), w) for r in ("cross_frame", "video->question") for w in WINDOWS[:3]]
    together = knockout.rows_of_questions(qwen3, sequences, [ks, ks], knockout.plan(qwen3))
    assert Pack.of(sequences).shared > 32
    for sequence, table in zip(sequences, together):
        for one, other in zip(table, knockout.rows(qwen3, sequence, ks, knockout.plan(qwen3))):
            assert one["route"] == other["route"] and one["logp_base"] == pytest.approx(other["logp_base"], abs=2e-4)
    single = torch.stack([packs.uncut_logits(qwen3, [s])[0] for s in sequences])
    assert relative(packs.uncut_logits(qwen3, sequences), single) < 1e-5


def test_prompts_part_where_only_what_enters_later_differs(cases):
    _, sequence = cases["qwen3 clip"]
    place = int(sequence.spans["frame_1"][0])
    changed = sequence.deepstack.clone()
    changed[2, place] += 1
    assert shared_tokens(sequence, dataclasses.replace(sequence, deepstack=changed)) == place
    assert shared_tokens(sequence, sequence) == len(sequence)


@pytest.mark.slow
def test_in_bf16_the_sweep_is_no_further_from_fp32_than_full_forwards(cases):
    """As a mean over noisy prompts: rounding moves rows between experts whose scores nearly tie, here or there."""
    errors, noise = {"sweep": [], "naive": []}, torch.Generator().manual_seed(0)
    for kind in ("clip", "items"):
        model, plain = cases[f"qwen3 {kind}"]
        half = in_dtype(model, torch.bfloat16)
        ks = [Knockout(Route.parse(r), w) for r in ROUTES[kind][:2] for w in WINDOWS[1:]]
        for _ in range(4):
            embeds = plain.embeds + 0.3 * plain.embeds.std() * torch.randn(plain.embeds.shape, generator=noise)
            sequence = dataclasses.replace(plain, embeds=embeds)
            rounded = dataclasses.replace(plain, embeds=embeds.bfloat16(), deepstack=plain.deepstack.bfloat16())
            edges = knockout.resolve(sequence, ks)
            true = torch.sub(*knockout.naive(model, sequence, ks, edges))
            run = clean_run(half, rounded, knockout.first_row(sequence, edges))
            swept = knockout.sweep(half, rounded, run, ks, edges, knockout.Plan(100000, {}))
            for name, found in (("sweep", swept), ("naive", knockout.naive(half, rounded, ks, edges))):
                errors[name].append((torch.sub(*found) - true).abs().mean().item())
    mean = {name: sum(found) / len(found) for name, found in errors.items()}
    assert mean["sweep"] < 1.15 * mean["naive"] and mean["naive"] > 1e-4, errors
