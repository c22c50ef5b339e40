"""Prompts that begin alike give as one what they give one by one."""

import pytest
import torch
from tracing_cases import one_kernel

from avflow.tracing import knockout, segments
from avflow.tracing.interventions import Knockout, Route, windows
from avflow.tracing.packs import Pack, alike, shared_tokens, uncut_logits

CLIP = ["mini_video__hear_0001", "mini_video__see_0001", "mini_video__while-hear_0001"]
SHARED = ["cross_frame", "cross_audio_segment", "audio<->video"]
OTHERS = ["audio->question", "question->last", "video->last"]


def cuts(routes, stride=3, **how):
    return [Knockout(Route.parse(r), w, **how) for r in routes for w in windows(12, 3)[::stride]]


@pytest.fixture(scope="module")
def clip(sequences):
    """Three questions about one clip."""
    return [sequences[name] for name in CLIP]


@pytest.fixture
def passes(monkeypatch):
    """The parts of each pass, and its number of jobs."""
    seen, run = [], knockout._pass
    monkeypatch.setattr(
        knockout,
        "_pass",
        lambda model, parts, clean, jobs, *rest: seen.append((parts, len(jobs))) or run(model, parts, clean, jobs, *rest),
    )
    return seen


def close(one, other):
    """Two tables of rows, equal up to rounding."""
    assert len(one) == len(other)
    for mine, theirs in zip(one, other):
        for name, value in theirs.items():
            if isinstance(value, float):
                assert mine[name] == pytest.approx(value, abs=2e-4, rel=2e-4, nan_ok=True), (theirs["route"], name)
            else:
                assert mine[name] == value, (theirs["route"], name)


def test_questions_about_a_clip_share_everything_before_they_part(clip):
    pack = Pack.of(clip)
    assert all(pack.shared < int(s.spans["question_text"][-1]) for s in clip), "they part within the question"
    assert pack.shared > max(int(s.spans[name].max()) for s in clip for name in ("audio", "video"))
    assert len(pack) == pack.shared + sum(len(s) - pack.shared for s in clip)
    for number, s in enumerate(clip):
        at = torch.cat([torch.arange(len(pack))[part] for part in pack.slices(number)])
        assert torch.equal(pack.embeds[at], s.embeds) and torch.equal(pack.positions[:, at], s.positions)
        assert torch.equal(pack.places(number, torch.arange(len(s))), at)


def test_rows_of_a_pack_equal_rows_one_by_one_and_shared_cuts_run_once(model, clip, passes):
    asked = [cuts(SHARED + OTHERS)] * 3
    asked[1] = asked[1] + cuts(["audio->question"], 6, cut="value_zero")
    asked[2] = asked[2] + cuts(["cross_frame"], 6, control="random_other")
    found = knockout.rows_of_questions(model, clip, asked, knockout.plan(model))
    parts = Pack.of(clip).parts
    assert passes[0] == (parts, len(cuts(SHARED))) and [len(p) for p, _ in passes[1:]] == [1, 1, 1]
    assert [jobs for _, jobs in passes[1:]] == [
        len(cuts(OTHERS)) + more for more in (0, 2, sum(row["applicable"] for row in found[2][-2:]))
    ]
    for s, ks, table in zip(clip, asked, found):
        close(table, knockout.rows(model, s, ks, knockout.plan(model)))
    assert max(abs(row["logp_base"]) for row in found[2]) > 0.3, "some cut matters"


def test_a_pack_in_one_kernel_per_call_equals_the_batched_one(model, clip, monkeypatch):
    asked = [cuts(SHARED)] * 3
    batched = knockout.rows_of_questions(model, clip, asked, knockout.plan(model))
    monkeypatch.setattr(segments, "takes_segments", lambda *_: True)
    called = []
    monkeypatch.setattr(segments, "in_one_kernel", lambda *a: called.append(a) or one_kernel(*a))
    for one, other in zip(knockout.rows_of_questions(model, clip, asked, knockout.plan(model)), batched):
        close(one, other)
    assert called


def test_answers_of_a_pack_equal_single_answers(model, clip, sequences):
    mixed = [*clip, sequences["mini_items__image-to-audio_0001"], clip[0]]
    found = uncut_logits(model, mixed)
    single = torch.cat([uncut_logits(model, [s]) for s in mixed])
    assert torch.allclose(found, single, atol=2e-4)
    assert alike(mixed) == [[0, 1, 2, 4], [3]]


def test_prompts_that_share_little_are_not_packed(sequences):
    one, other = sequences[CLIP[0]], sequences["mini_video__hear_0002"]
    assert 0 < shared_tokens(one, other) < len(one) / 2 and alike([one, other]) == [[0], [1]]
    assert shared_tokens(one, one) == len(one)
    moved = type(one)(**{**vars(one), "positions": one.positions + (torch.arange(len(one)) > 9)})
    assert shared_tokens(one, moved) == 10, "equal tokens at other positions are not shared"


def test_a_full_copy_of_a_prompt_keeps_its_last_token(model, clip):
    pack = Pack.of([clip[0], clip[0]])
    assert pack.parts == (len(clip[0]) - 1, len(clip[0]), len(clip[0]) + 1)
    one, other = knockout.rows_of_questions(model, [clip[0]] * 2, [cuts(OTHERS)] * 2, knockout.plan(model))
    close(one, other)


def test_a_first_row_behind_the_shared_part_is_refused():
    from avflow.tracing.kept_keys import Cut

    with pytest.raises(ValueError, match="row 8 lies behind the shared part, which ends at 6"):
        Cut(None, 8, 12, (6, 9, 12))
