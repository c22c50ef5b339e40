"""The shipped tiny models answer every task from files, and need the modality that the task needs."""

import pytest
import torch
from conftest import ROOT, UNIONS

from avflow.media import encoder_inputs, files
from avflow.models.qwen_omni import QwenOmni
from avflow.models.video_salmonn import VideoSalmonn
from avflow.tracing.packs import uncut_logits
from reliance import shuffled, without

MODELS = {"tiny-omni": QwenOmni, "tiny-salmonn": VideoSalmonn}
NEEDS = {
    **{"hear": "A", "see": "V", "while-hear": "AV", "while-see": "AV", "hear-before": "A", "see-before": "V"},
    **{"image-to-audio": "AV", "audio-to-image": "AV", "by-aspect": "AV", "stated": "AV", "named": "A", "repeated": "A"},
}


def encode(model, path, kind, spread):
    """One file's features, sampled as config.yaml has it for the model."""
    frames, audio, fps = None, None, None
    if kind == "video":
        read = files.read_spread_frames(path, 0.1, 16, 16) if spread else files.read_frames(path, 2, 768)
        frames, fps = torch.from_numpy(read[0]), read[1]
    elif kind == "image":
        frames = torch.from_numpy(files.read_image(path).copy())
    if frames is not None:
        frames = encoder_inputs.resize(frames.contiguous(), 56, 56)
    if kind != "image":
        audio = torch.from_numpy(files.read_audio(path))
    return model.encode(kind, frames=frames, audio=audio, fps=fps)


@pytest.fixture(scope="module", params=sorted(MODELS))
def right(request, questions, world_files):
    """(task, variant) -> how many of six questions a model answers rightly."""
    model = MODELS[request.param](ROOT / "resources" / request.param, "You are a helpful assistant.")
    found, cache = {}, {}
    for q in questions.values():
        given = {m.media_id: encode(model, world_files / q.dataset / m.path, m.kind, "salmonn" in request.param) for m in q.media}
        kinds = {m.media_id: m.kind for m in q.media}
        take = lambda sense: {i: without(model, f, kinds[i], sense, cache) for i, f in given.items()}  # noqa: B023
        asked = {"as is": (q, given), "muted": (q, take("audio")), "blanked": (q, take("vision"))}
        asked["shuffled"] = shuffled(q, 0, 1), given
        sequences = [model.sequence(question, media, UNIONS[q.setting]) for question, media in asked.values()]
        for name, sequence, logits in zip(asked, sequences, uncut_logits(model, sequences)):
            gold = [o.label for o in sequence.question.options].index(sequence.question.answer)
            hit = int(logits.argmax()) == int(sequence.letter_ids[gold])
            found[q.task, name] = found.get((q.task, name), 0) + hit
    return found


@pytest.mark.slow
def test_a_tiny_model_answers_every_task_in_any_order_of_the_options(right):
    for task in NEEDS:
        assert right[task, "as is"] == 6, task
        if task != "repeated":
            assert right[task, "shuffled"] == 6, task
    assert right["repeated", "shuffled"] < 6, "its options always stand in order, so the model reads none"


@pytest.mark.slow
def test_an_answer_rests_on_the_modality_that_its_task_needs(right):
    assert right["hear", "blanked"] == right["see", "muted"] == 6, "what is not needed is not missed"
    assert right["named", "blanked"] >= 5 and right["repeated", "blanked"] >= 5
    for variant, sense in (("muted", "A"), ("blanked", "V")):
        needing = [task for task, needs in NEEDS.items() if sense in needs]
        guessed = sum(right[task, variant] for task in needing)
        assert guessed <= 0.5 * 6 * len(needing), f"{variant}: {guessed} of {6 * len(needing)}, where a quarter is chance"
