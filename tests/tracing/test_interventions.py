"""Routes, edges and windows are plain data."""

import pytest
import torch

from avflow.errors import InputError
from avflow.models.spans import Spans
from avflow.tracing.interventions import Route, windows


@pytest.fixture
def spans():
    labels = ["system"] * 2 + ["video"] * 2 + ["audio"] * 3 + ["video"] * 2 + ["audio"] + ["question_text"] * 3 + ["last"]
    parts = {"frame_0": [2, 3], "frame_1": [7, 8], "audio_segment_0": [4, 5, 6], "audio_segment_1": [9]}
    return Spans(labels, parts, {"question": ["question_text"], "nobody": ["candidates"]})


def pairs(route, spans):
    cut = Route.parse(route).edges(spans).cut(torch.arange(spans.length), spans.length)
    return {(q, k) for q, k in cut.nonzero().tolist()}


@pytest.mark.parametrize(
    "text", ["audio->question", "audio<->video", "cross_frame", "cross_audio_segment", "cross_candidate", "last->last"]
)
def test_a_route_is_written_as_it_is_read(text):
    assert str(Route.parse(text)) == text


@pytest.mark.parametrize("text", ["audio", "audio=>question", "cross_words", "audio->question->last", "->last"])
def test_other_spellings_are_refused_with_the_forms_that_exist(text):
    with pytest.raises(InputError, match="is not understood; write 'source->target'"):
        Route.parse(text)


def test_a_route_naming_a_span_that_does_not_exist_says_so(spans):
    with pytest.raises(InputError, match="route auido->question: span 'auido' does not exist; this sequence has system, video"):
        Route.parse("auido->question").edges(spans)


def test_blocking_audio_to_last_touches_one_row(spans):
    assert pairs("audio->last", spans) == {(13, k) for k in (4, 5, 6, 9)}
    assert Route.parse("audio->last").edges(spans).queries().tolist() == [13]


def test_only_visible_pairs_count(spans):
    assert pairs("video->audio", spans) == {(q, k) for q in (4, 5, 6) for k in (2, 3)} | {(9, k) for k in (2, 3, 7, 8)}
    assert pairs("audio->video", spans) == {(q, k) for q in (7, 8) for k in (4, 5, 6)}
    assert pairs("audio<->video", spans) == pairs("video->audio", spans) | pairs("audio->video", spans)
    assert Route.parse("last->video").edges(spans).count == 0
    assert Route.parse("audio<->video").edges(spans).count == len(pairs("audio<->video", spans)) == 16


def test_cross_routes_hide_earlier_parts_only(spans):
    assert pairs("cross_frame", spans) == {(q, k) for q in (7, 8) for k in (2, 3)}
    assert pairs("cross_audio_segment", spans) == {(9, k) for k in (4, 5, 6)}
    assert Route.parse("cross_candidate").edges(spans).count == 0


def test_a_query_keeps_its_own_key_except_in_last_to_last(spans):
    assert pairs("last->last", spans) == {(13, 13)}
    assert pairs("question->question", spans) == {(11, 10), (12, 10), (12, 11)}


def test_an_empty_span_gives_no_edges(spans):
    assert Route.parse("nobody->last").edges(spans).count == 0


def test_centred_windows_are_clipped_as_in_the_paper():
    found = windows(36, 7)
    assert len(found) == 36
    assert (found[0].start, found[0].stop) == (0, 4)
    assert (found[20].start, found[20].stop) == (17, 24)
    assert (found[35].start, found[35].stop) == (32, 36)


def test_window_styles_cover_the_layers_they_name():
    layers = lambda style: [n for n in range(6) if windows(6, 3, style)[2].covers(n)]  # noqa: E731
    assert layers("centred") == [1, 2, 3]
    assert layers("inverse") == [0, 4, 5]
    assert layers("top_down") == [2, 3, 4, 5]
    assert layers("bottom_up") == [0, 1, 2]
    assert [w.centre for w in windows(6, 3, stride=2)] == [0, 2, 4]


@pytest.mark.parametrize(
    ("width", "style", "message"),
    [
        (4, "centred", "must be odd"),
        (13, "centred", "between 1 and the model's 12"),
        (3, "sideways", "style 'sideways' is unknown"),
    ],
)
def test_bad_windows_are_refused(width, style, message):
    with pytest.raises(InputError, match=message):
        windows(12, width, style)


def test_a_token_without_a_span_is_refused():
    with pytest.raises(InputError, match="token 1 belongs to no span"):
        Spans(["system", None, "last"])


@pytest.mark.parametrize("member", ["insruction", "optoins", "frame_0", "candidate"])
def test_a_union_of_a_span_that_cannot_exist_is_refused(member):
    """Left out silently, its tokens would let information pass every knockout."""
    with pytest.raises(InputError, match=f"spans: question names '{member}', which is not a span; a union is made of system"):
        Spans(["system", "question_text", "last"], unions={"question": ["question_text", member]})


def test_a_union_may_name_what_a_question_lacks():
    spans = Spans(
        ["system", "question_text", "last"], unions={"question": ["question_text", "instruction", "option_D", "options"]}
    )
    assert spans["question"].tolist() == [1]
