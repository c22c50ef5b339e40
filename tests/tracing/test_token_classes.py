"""Each token has one class. Each frame and each item has a first token."""

from avflow.tracing.token_classes import CLASSES, first_tokens, token_classes


def test_every_token_has_a_class_and_frames_and_items_a_first_token(cases):
    sequence = cases["omni clip"][1]
    kinds, spans = token_classes(sequence.spans), sequence.spans
    named = {name: int((kinds == c).sum()) for c, name in enumerate(CLASSES)}
    assert sum(named.values()) == len(sequence) and named["last"] == 1
    assert named["video"] == len(spans["video"]) and named["options"] == len(spans["options"])
    assert named["question"] == len(spans["instruction"]) + len(spans["question_text"]) + len(spans["tail"])
    assert int(first_tokens(spans).sum()) == 4 + 2, "frames and audio segments"
    assert int(first_tokens(cases["omni items"][1].spans).sum()) == 5, "candidates and the reference"
