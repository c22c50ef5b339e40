"""The shipped tiny models answer every task from files, and need the modality that the task needs."""

import json

import numpy as np
import pytest
import torch
from conftest import ROOT, UNIONS
from PIL import Image

from avflow.media import encoder_inputs, files
from avflow.miniature import tiny_omni, tiny_salmonn
from avflow.models.qwen_omni import LONGEST_SOUND, QwenOmni
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


# what other tools load from the folder of a model


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_shipped_preprocessor_is_what_a_training_would_save(name):
    family = {"tiny-omni": tiny_omni, "tiny-salmonn": tiny_salmonn}[name]
    path = ROOT / "resources" / name / "preprocessor_config.json"
    assert path.read_text() == json.dumps(family.PREPROCESSOR, indent=2) + "\n"


@pytest.mark.parametrize("name", sorted(MODELS))
def test_pictures_sound_and_text_are_prepared_by_path_as_we_do(name):
    from transformers import AutoFeatureExtractor, AutoTokenizer
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil  # needs no torchvision

    folder = ROOT / "resources" / name
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (3, 56, 56), dtype=np.uint8)  # of the size that a model gets
    official = Qwen2VLImageProcessorPil.from_pretrained(folder)(Image.fromarray(picture.transpose(1, 2, 0)))
    ours, grid = encoder_inputs.patchify(torch.from_numpy(picture)[None], 14, 2, 2)
    assert official["image_grid_thw"].tolist() == [list(grid)] == [[1, 4, 4]]
    assert np.abs(official["pixel_values"] - ours.numpy()).max() < 1e-5

    sound = (rng.integers(-3000, 3000, 16000) / 32768).astype(np.float32)
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    made = extractor(sound, sampling_rate=16000, padding="max_length", return_attention_mask=True, return_tensors="pt")
    chunk = tiny_salmonn.CHUNK_SECONDS * 16000 if name == "tiny-salmonn" else LONGEST_SOUND
    assert made["input_features"].shape == (1, 128, chunk // 160) and int(made["attention_mask"].sum()) == 100
    assert (made["input_features"][0] - encoder_inputs.log_mel(torch.from_numpy(sound), chunk)).abs().max() < 1e-4

    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = tokenizer.apply_chat_template([{"role": "user", "content": "cat"}], tokenize=False, add_generation_prompt=True)
    assert text.endswith("<|im_start|>user\ncat<|im_end|>\n<|im_start|>assistant\n")
    config = json.loads((folder / "config.json").read_text())
    image = config["image_token_index" if name == "tiny-omni" else "image_token_id"]
    assert tokenizer.convert_tokens_to_ids(tokenizer.image_token) == image


@pytest.mark.parametrize(("name", "kind"), [("tiny-omni", "Qwen2_5OmniProcessor"), ("tiny-salmonn", "Qwen2_5_VLProcessor")])
def test_the_whole_processor_loads_by_path(name, kind):
    pytest.importorskip("torchvision", reason="transformers reads videos with torchvision, which the project does without")
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(ROOT / "resources" / name)
    picture = Image.fromarray(np.zeros((56, 56, 3), np.uint8))
    batch = processor(text=f"{processor.tokenizer.image_token} which?", images=[picture], return_tensors="pt")
    assert type(processor).__name__ == kind and batch["image_grid_thw"].tolist() == [[1, 4, 4]]
    image = processor.tokenizer.convert_tokens_to_ids(processor.tokenizer.image_token)
    assert (batch["input_ids"] == image).sum() == 4
