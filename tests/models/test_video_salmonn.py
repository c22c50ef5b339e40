"""video-SALMONN 2+ equals the official code: tensor names, positions in both modes, sampling and training.

Also tests avflow.miniature.tiny_salmonn and avflow.models.salmonn_port.
"""

import json
import shutil
from argparse import ArgumentParser
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from conftest import ROOT, UNIONS
from examples import encoded, items_question, pictures, tone, video_question
from jsonschema import Draft202012Validator
from safetensors.torch import load_file, save_file
from transformers import WhisperFeatureExtractor

import check_parity
from avflow.config_checks import check_sampling
from avflow.errors import InputError
from avflow.media import encoder_inputs, files, sampling
from avflow.miniature import datasets, tiny_salmonn, world
from avflow.models.families import load_model, model_arguments
from avflow.models.salmonn_port import SalmonnPort, official_name, port_name
from avflow.models.video_salmonn import POSITIONS, SalmonnLayout, VideoSalmonn, audio_after_grids, whole_chunks
from avflow.questions import layouts
from avflow.tracing import readout
from avflow.tracing.decoder import causal_mask, masked_run

GOLDEN = ROOT / "tests/data/video_salmonn2_plus"


@pytest.fixture(scope="module")
def trained():
    """A tiny model as the training makes it, untrained."""
    torch.manual_seed(0)
    return tiny_salmonn.TinySalmonn("cpu")


@pytest.fixture(scope="module")
def folder(trained, tmp_path_factory):
    where = tmp_path_factory.mktemp("tiny") / "checkpoint"
    trained.save(where)
    return where


@pytest.fixture(scope="module")
def salmonn(folder):
    return VideoSalmonn(folder, world.SYSTEM_PROMPT)


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "checkpoint")


def layout(positions="official_generate", chunk_seconds=10):
    vision = SimpleNamespace(spatial_merge_size=2, tokens_per_second=2)
    return SalmonnLayout(SimpleNamespace(vision_config=vision), 16000 * chunk_seconds, 2 * chunk_seconds, positions)


def clip(grid, seconds_per_grid, samples=None):
    sound = {} if samples is None else {"audio": 0, "samples": torch.tensor(samples)}
    return {"grid": torch.tensor(grid), "seconds_per_grid": torch.tensor(seconds_per_grid), **sound}


@pytest.fixture(scope="module")
def sequences(salmonn):
    asked = [video_question(), items_question("image-to-audio"), items_question("audio-to-image")]
    return [salmonn.sequence(q, encoded(salmonn, q), UNIONS[q.setting]) for q in asked]


@pytest.fixture(scope="module")
def golden():
    return check_parity.read_fixture(str(GOLDEN))


def test_positions_features_and_logits_equal_the_official_ones(golden):
    found = check_parity.differences(*golden)
    assert set(found) >= {f"{what}, {mode}" for what in ("positions", "logits") for mode in POSITIONS}
    assert max(found.values()) < 1e-5
    assert found["positions, official_generate"] == found["positions, training"] == 0


def test_a_perturbed_weight_makes_the_check_fail(golden, tmp_path, monkeypatch, capsys):
    facts, tensors = golden
    changed = dict(tensors)
    name = "audio.qformer.bert.encoder.layer.1.crossattention.self.value.weight"
    changed[name] = tensors[name] + 0.01
    save_file(changed, tmp_path / "changed.safetensors")
    (tmp_path / "changed.json").write_text(json.dumps(facts))
    monkeypatch.setattr("sys.argv", ["check_parity.py", str(tmp_path / "changed")])
    with pytest.raises(SystemExit) as stopped:
        check_parity.main()
    assert stopped.value.code == 1
    said = dict(line.rsplit(None, 1) for line in capsys.readouterr().out.splitlines())
    assert float(said["audio features"]) > 1e-4 and float(said["visual features"]) < 1e-5


def test_swapped_positions_make_the_check_fail(golden):
    facts, tensors = golden
    swapped = dict(tensors)
    swapped["out/positions_generate"], swapped["out/positions_training"] = (
        tensors["out/positions_training"],
        tensors["out/positions_generate"],
    )
    assert check_parity.differences(facts, swapped)["positions, training"] > 1


def test_a_missing_fixture_is_named():
    with pytest.raises(InputError, match=r"nowhere\.json: no such file"):
        check_parity.read_fixture("nowhere")


def test_the_checkpoint_holds_official_names_and_is_small(folder):
    names = set(load_file(folder / "model.safetensors"))
    for name in (
        "audio.conv1.weight",
        "audio.q_tokens",
        "audio.audio_proj.bias",
        "audio.qformer.bert.embeddings.LayerNorm.weight",
        "audio.qformer.bert.encoder.layer.1.attention.self.query.weight",
        "audio.qformer.bert.encoder.layer.0.crossattention.output.dense.weight",
        "visual.blocks.1.attn.qkv.weight",
        "model.layers.11.mlp.up_proj.weight",
    ):
        assert name in names
    assert "lm_head.weight" not in names, "tied to the embeddings, as in the 3B"
    assert all(official_name(port_name(name)) == name for name in names)
    assert sum(f.stat().st_size for f in folder.iterdir()) < 20e6


def test_names_are_mapped_as_the_official_fixture_has_them(golden):
    tensors = golden[1]
    names = {n for n in tensors if n.split("/")[0] not in ("in", "out", "rows") and not n.endswith("position_ids")}
    with torch.device("meta"):
        port = SalmonnPort(golden[0]["config"])
    assert {port_name(n) for n in names} == set(port.state_dict()) - {
        "vl.model.language_model.embed_tokens.weight",
        "vl.lm_head.weight",
    }


def test_loaded_weights_equal_saved_ones(salmonn, trained):
    state = trained.model.state_dict()
    for name, tensor in salmonn.model.state_dict().items():
        assert torch.equal(tensor, state[name].half().float()), name
    assert salmonn.head.weight is salmonn.decoder.embed_tokens.weight
    assert not [n for n, t in [*salmonn.model.named_parameters(), *salmonn.model.named_buffers()] if t.is_meta]
    fresh = trained.model.decoder.rotary_emb.inv_freq
    assert torch.equal(salmonn.decoder.rotary_emb.inv_freq, fresh)


def test_tensors_are_taken_and_not_copied(golden):
    with torch.device("meta"):
        port = SalmonnPort(golden[0]["config"])
    weight = golden[1]["audio.conv2.weight"]
    port.take([("audio.conv2.weight", weight)])
    assert port.whisper.conv2.weight.data_ptr() == weight.data_ptr()


def test_shards_are_read_through_the_index(copy, salmonn):
    tensors = load_file(copy / "model.safetensors")
    (copy / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, held in parts.items():
        save_file({n: tensors[n] for n in held}, copy / file)
    index = {"weight_map": {n: file for file, held in parts.items() for n in held}}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    again = VideoSalmonn(copy, "").model.state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in salmonn.model.state_dict().items())
    (copy / "model-2.safetensors").unlink()
    with pytest.raises(InputError, match="checkpoint: model-2.safetensors is missing; download the checkpoint again"):
        VideoSalmonn(copy, "")


def test_bad_checkpoints_are_named_in_one_line(copy, tmp_path):
    def refused(match, where=copy):
        with pytest.raises(InputError, match=match) as caught:
            VideoSalmonn(where, "")
        assert "\n" not in str(caught.value)

    refused("nowhere: no config.json; give the folder of a video-SALMONN", tmp_path / "nowhere")
    whole = load_file(copy / "model.safetensors")
    save_file({n: t for n, t in whole.items() if n != "audio.q_tokens"}, copy / "model.safetensors")
    refused(r"checkpoint: tensor audio\.q_tokens is missing \(1 in all\); download the checkpoint again")
    save_file({**whole, "audio.q_tokens": torch.zeros(1, 1, 7)}, copy / "model.safetensors")
    refused("tensor audio.q_tokens does not fit config.json")
    (copy / "model.safetensors").write_bytes((copy / "model.safetensors").read_bytes()[:5000])
    refused("model.safetensors: not a whole safetensors file")
    (copy / "model.safetensors").unlink()
    refused("checkpoint: model.safetensors is missing")
    save_file(whole, copy / "model.safetensors")
    settings = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({k: v for k, v in settings.items() if k != "audio_config"}))
    refused("config.json has no 'audio_config'")
    (copy / "config.json").write_text(json.dumps({**settings, "use_sliding_window": True, "max_window_layers": 6}))
    refused("sliding-window layers cannot be traced")
    (copy / "config.json").write_text("{")
    refused("config.json is not JSON")
    (copy / "config.json").write_text(json.dumps(settings))
    (copy / "tokenizer.json").write_text((copy / "tokenizer.json").read_text().replace("<|audio_pad|>", "<|other|>"))
    settings = (copy / "tokenizer_config.json").read_text().replace("<|audio_pad|>", "<|other|>")
    (copy / "tokenizer_config.json").write_text(settings)
    refused(r"<\|audio_pad\|> is not a single token")


def test_positions_are_an_option_of_this_family_only(folder):
    parser = ArgumentParser()
    model_arguments(parser)
    options = ["--checkpoint", str(folder), "--device", "cpu", "--positions"]
    assert load_model(parser.parse_args(["--family", "video_salmonn", *options, "training"])).layout.positions == "training"
    with pytest.raises(InputError, match="positions 'typo' are unknown; known: official_generate, training"):
        load_model(parser.parse_args(["--family", "video_salmonn", *options, "typo"]))
    with pytest.raises(InputError, match="qwen_omni takes no positions"):
        load_model(parser.parse_args(["--family", "qwen_omni", *options, "training"]))


def test_training_positions_follow_time_and_the_last_grid_takes_the_rest():
    made = layout("training").of("video", 1, "video", clip([2, 2, 2], 1.0, 40000))
    counts = [(b.token.strip("<|>"), b.count, b.part) for b in made.blocks]
    assert counts == [
        ("vision_start", 1, None),
        ("video_pad", 1, "frame_0"),
        ("audio_pad", 2, "audio_segment_0"),
        ("video_pad", 1, "frame_1"),
        ("audio_pad", 3, "audio_segment_1"),
        ("audio_pad", 15, "audio_padding"),
        ("vision_end", 1, None),
        ("\n", 1, None),
    ]
    audio = [(i, 0, i) for i in range(20)]
    block = [(0, 0, 0), *audio[:2], (2, 0, 0), *audio[2:]]
    expected = [(0, 0, 0)] + [tuple(v + 1 for v in column) for column in block] + [(21,) * 3, (22,) * 3]
    assert [tuple(c) for c in made.positions.T.tolist()] == expected
    assert made.advance == 23


def test_official_generate_gives_the_first_tokens_a_grid_and_numbers_the_rest_like_text():
    made = layout().of("video", 1, "video", clip([2, 2, 4], 1.0, 40000))
    columns = [tuple(c) for c in made.positions.T.tolist()]
    assert columns[1:5] == [(1, 1, 1), (1, 1, 2), (3, 1, 1), (3, 1, 2)], "pictures and sound alike"
    assert columns[5:] == [(i,) * 3 for i in range(4, 26)] and made.advance == 26
    faster = layout().of("video", 1, "video", clip([2, 2, 4], 0.5, 40000))
    assert torch.equal(faster.positions, made.positions), "the time between grids is forgotten"


def test_a_silent_video_has_no_audio_tokens_and_text_goes_on_after_its_largest_id():
    for mode, step in (("training", 1), ("official_generate", 2)):
        made = layout(mode).of("video", 1, "video", clip([3, 2, 2], 0.5))
        assert [b.count for b in made.blocks if "audio" in b.token] == []
        assert made.positions[0].tolist() == [0, 1, 1 + step, 1 + 2 * step, 2 + 2 * step, 3 + 2 * step]


def test_grids_closer_than_half_a_second_share_audio_tokens_and_late_grids_get_none():
    assert audio_after_grids(6, 0.2, 2, 60) == [0, 0, 1, 0, 1, 58]
    assert audio_after_grids(5, 8.0, 2, 120) == [16, 16, 16, 16, 56]
    assert audio_after_grids(4, 8.0, 2, 20) == [16, 4, 0, 0], "never more tokens than there are features"


@pytest.mark.parametrize(("samples", "tokens", "heard"), [(100, 60, 1), (160000, 60, 20), (480000, 60, 60), (480001, 120, 61)])
def test_sound_fills_whole_chunks(samples, tokens, heard):
    found = layout(chunk_seconds=30).of("candidate", 2, "audio", {"samples": torch.tensor(samples), "audio": 0})
    assert sum(b.count for b in found.blocks if b.atom == "candidate_2") == tokens
    assert sum(b.count for b in found.blocks if b.part == "audio_padding") == tokens - heard
    assert whole_chunks(torch.zeros(samples), 480000).shape == (tokens // 60, 480000)


@pytest.mark.parametrize("order", layouts.NAMES)
@pytest.mark.parametrize("task", ["image-to-audio", "audio-to-image"])
def test_images_are_numbered_as_in_qwen_vl_and_sounds_like_text(salmonn, task, order):
    question = layouts.arrange(items_question(task), order)
    sequence = salmonn.sequence(question, encoded(salmonn, question), UNIONS["items"])
    kinds = (sequence.ids == salmonn.tokenizer.convert_tokens_to_ids("<|image_pad|>")).int()
    grids = torch.tensor([[1, 4, 4]] * sum(m.kind == "image" for m in question.media))
    official, _ = salmonn.model.vl.model.get_rope_index(sequence.ids[None], kinds[None], image_grid_thw=grids)
    assert torch.equal(sequence.positions, official[:, 0])
    padding = sequence.spans["audio_padding"]
    sounds = sum(m.kind == "audio" for m in question.media)
    assert len(padding) == 18 * sounds
    assert set(padding.tolist()) <= set(torch.cat([sequence.spans["candidates"], sequence.spans["reference"]]).tolist())


def test_atoms_partition_the_sequence_and_padding_lies_in_audio(sequences, salmonn):
    for s in sequences:
        assert torch.equal(torch.cat(list(s.spans.atoms.values())).sort().values, torch.arange(len(s)))
        assert torch.isfinite(s.embeds).all()
    s = sequences[0]
    assert len(s.spans["video"]) == 32 and len(s.spans["audio"]) == 20 and len(s.spans["audio_padding"]) == 12
    segments = s.spans.group("audio_segment")
    heard = torch.cat(segments)
    assert len(segments) == len(s.spans.group("frame")) == 8
    assert torch.equal(torch.cat([heard, s.spans["audio_padding"]]).sort().values, s.spans["audio"])
    assert all(int(frame[-1]) + 1 == int(sound[0]) for frame, sound in zip(s.spans.group("frame"), segments))
    text = salmonn.tokenizer.decode(s.ids[int(s.spans["audio"][-1]) + 1 :])
    assert text.startswith(f"<|vision_end|>\n{world.VIDEO_INSTRUCTION}\n")


def test_sounds_alone_have_no_training_positions(folder):
    model = VideoSalmonn(folder, "", positions="training")
    question = items_question("image-to-audio")
    alone = type("Q", (), {"question_id": "q", "media": [m for m in question.media if m.kind == "audio"]})
    with pytest.raises(InputError, match="question q: sounds alone have no training positions"):
        model.sequence(alone, {})


def test_a_whole_forward_gives_finite_logits_and_the_modes_differ(salmonn, folder, sequences):
    s = sequences[0]
    mask = causal_mask(len(s))[None]
    logits = masked_run(salmonn, s, lambda _: mask)
    other = VideoSalmonn(folder, world.SYSTEM_PROMPT, positions="training")
    timed = other.sequence(s.question, encoded(other, s.question), UNIONS["av_video"])
    assert torch.equal(timed.ids, s.ids) and not torch.equal(timed.positions, s.positions)
    assert (logits - masked_run(other, timed, lambda _: mask)).abs().max() > 1e-4


@pytest.mark.parametrize("samples", [480000, 479900, 160000, 16000, 161])
def test_chunks_of_sound_equal_whispers_extractor(samples):
    audio = 0.1 * np.random.default_rng(samples).standard_normal(samples).astype(np.float32)
    official = WhisperFeatureExtractor(feature_size=128, chunk_length=30)(audio, sampling_rate=16000, return_tensors="pt")
    ours = encoder_inputs.log_mel(torch.from_numpy(audio), 480000)
    assert (ours - official["input_features"][0]).abs().max() < 1e-4


def test_long_sound_is_encoded_chunk_by_chunk(salmonn):
    audio = 0.1 * torch.randn(250000, generator=torch.Generator().manual_seed(0))
    whole = salmonn.encode("audio", audio=audio)
    assert whole["audio"].shape == (40, 192) and int(whole["samples"]) == 250000
    assert torch.allclose(whole["audio"][20:], salmonn.encode("audio", audio=audio[160000:])["audio"], atol=1e-5)
    short = salmonn.encode("audio", audio=audio[:500])
    assert short["audio"].shape == (20, 192) and int(short["samples"]) == 500


def test_frames_are_spread_from_the_first_to_the_last():
    spread = lambda frames, seconds: sampling.spread_indices(frames, seconds, 0.1, 16, 768)
    assert spread(300, 10.0).tolist()[:3] == [0, 3, 6] and len(spread(300, 10.0)) == 100 and spread(300, 10.0)[-1] == 299
    assert len(spread(30, 1.0)) == 16 and len(spread(10, 1.0)) == 10, "no frame is taken twice"
    assert len(spread(9000, 300.0)) == 768
    most = lambda frames: sampling.most_pixels(frames, True, 768, 3136, 61250, None)
    assert most(768) == 61250 and round(most(100)) == 446880
    assert sampling.resized_shape(720, 1280, 28, 3136, most(100)) == (476, 868)


def test_a_clip_is_read_in_both_samplings(tmp_path):
    path = tmp_path / "clip.mp4"
    files.write_clip(path, pictures(), 10, tone(2.0), 48000)
    frames, fps = files.read_spread_frames(path, 0.1, 4, 8)
    assert frames.shape == (8, 3, 48, 64) and fps == 4.0
    grey = frames[:, :, 30, 40].mean(1)
    assert np.allclose(grey, 40 + 8 * sampling.spread_indices(20, 2.0, 0.1, 4, 8), atol=4)
    assert files.read_frames(path, 2, 768)[0].shape == (4, 3, 48, 64)


def test_the_schema_knows_three_kinds_of_sampling_and_no_mixture():
    schema = yaml.safe_load((ROOT / "schemas/config.schema.yaml").read_text())["properties"]["sampling"]
    config = yaml.safe_load((ROOT / "config.yaml").read_text())["sampling"]

    def valid(samplings):
        try:
            for name, how in samplings.items():
                check_sampling(name, how)
        except InputError:
            return False
        return Draft202012Validator(schema).is_valid(samplings)

    assert valid(config) and {"omni-56px", "salmonn-56px", "salmonn-61k"} <= set(config)
    spread, exact, official = (config[name] for name in ("salmonn-56px", "omni-56px", "omni-default"))
    budget = {"max_tokens": 32768, "min_fps": 1, "audio_per_second": 25, "audio_seconds": 300}
    assert budget.items() <= official.items() and valid({"x": {**exact, **budget}})
    assert valid({"x": {k: v for k, v in exact.items() if k != "frames"}}), "exact is the default"
    for more in ({"min_frames": 4}, {"rate": "nominal"}, {"frames": "official"}, {"max_tokens": 32768}, {"min_fps": 1}):
        assert not valid({"x": {**exact, **more}}), more
    for more in ({"interval": 0.1}, {"frames": "exact"}, {"rate": "other"}):
        assert not valid({"x": {**official, **more}}), more
    for more in ({"frames": "official"}, {"rate": "sampled"}, {"total_pixels": 10**7}, budget):
        assert not valid({"x": {**spread, **more}}), more
    assert not valid({"x": {**spread, "fps": 2}})
    assert not valid({"x": {k: v for k, v in spread.items() if k != "min_frames"}})
    assert not valid({"x": {k: v for k, v in spread.items() if k != "interval"}})


def test_the_trainings_templates_are_the_adapters_sequences(salmonn, trained):
    from avflow.miniature.templates import template

    asked = [*((t, video_question(t)) for t in world.VIDEO_TASKS), *((t, items_question(t)) for t in world.ITEM_TASKS)]
    for task, question in asked:
        made = template(task, trained)
        sequence = salmonn.sequence(question, encoded(salmonn, question))
        assert torch.equal(made.ids, sequence.ids), task
        assert torch.equal(made.positions, sequence.positions), task
        assert (made.audio_of[made.bound] != world.NOTHING).all()
        heard = made.audio_at[made.audio_of != world.NOTHING].tolist()
        assert set(heard) == set(made.audio_at.tolist()) - set(sequence.spans["audio_padding"].tolist())


def test_training_sees_the_frames_that_the_files_are_sampled_at(trained):
    settings = yaml.safe_load((ROOT / "config.yaml").read_text())["sampling"]["salmonn-56px"]
    frames = datasets.CLIP_FPS * world.SECONDS
    indices = sampling.spread_indices(frames, world.SECONDS, settings["interval"], settings["min_frames"], settings["max_frames"])
    assert np.allclose(trained.frame_times, indices / datasets.CLIP_FPS)
    assert trained.clip["grid"].tolist() == [len(indices) // 2, 4, 4]
    assert float(trained.clip["seconds_per_grid"]) == 2 * world.SECONDS / len(indices)
    seconds = np.floor(trained.frame_times).reshape(-1, 2)
    assert (seconds[:, 0] == seconds[:, 1]).all(), "both frames of a grid show the same second"


def test_batched_encoders_equal_those_of_the_adapter(salmonn):
    loaded = tiny_salmonn.TinySalmonn("cpu")
    loaded.model.load_state_dict(salmonn.model.state_dict())
    g = torch.Generator().manual_seed(0)
    frames, waves = torch.randint(0, 256, (6, 3, 56, 56), generator=g, dtype=torch.uint8), torch.randn(2, 16000, generator=g) / 9
    patches, grid = encoder_inputs.patchify(frames, 14, 2, 2)
    with torch.inference_mode():
        vision, audio = loaded.vision(patches.unflatten(0, (3, 16)), grid[1:]), loaded.audio(waves)
    whole = salmonn.encode("video", frames=frames, fps=4.0)["vision"]
    assert (vision.flatten(0, 1) - whole).abs().max() < 1e-5
    for wave, ours in zip(waves, audio):
        assert (ours - salmonn.encode("audio", audio=wave)["audio"]).abs().max() < 1e-5
    clips = torch.randn(1, 64000, generator=g) / 9
    mel = tiny_salmonn.padded_mel(clips, 160000)
    assert (mel - encoder_inputs.log_mel(clips, 160000)).abs().max() < 1e-6


def test_probability_beside_the_letters_is_counted_and_other_answers_are_not_hidden(sequences, salmonn):
    s = sequences[0]
    decoded = {salmonn.tokenizer.decode([i]) for i in s.variant_ids.tolist()}
    assert " B" in decoded and not decoded & set("ABCD")
    logits = torch.full((2, salmonn.head.out_features), -20.0)
    logits[0, s.letter_ids[1]], logits[0, s.variant_ids[0]] = 2.0, 1.0
    logits[1, salmonn.tokenizer.convert_tokens_to_ids("Which")] = 3.0
    found = readout.masses(s, logits)
    assert found["says_letter"] == [True, False]
    assert found["p_letters"][0] == pytest.approx(1 / (1 + np.exp(-1)), abs=1e-4)
    assert found["p_variants"][0] == pytest.approx(1 - found["p_letters"][0], abs=1e-4)
    assert found["p_other"] == pytest.approx([0, 1], abs=1e-4)
