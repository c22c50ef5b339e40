"""The tiny Qwen2.5-Omni: its vocabulary, its shape, and how it is written as an ordinary Hugging Face checkpoint folder.

The classes are the real ones (Qwen2Tokenizer, Qwen2_5OmniThinkerForConditionalGeneration); only numbers are small. The
vocabulary is a byte-level BPE trained on the world's texts until every word of them is one token, as common words are in the
real vocabulary.
"""

import json
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
from transformers import Qwen2_5OmniThinkerConfig, Qwen2Tokenizer
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

from . import world

SPECIAL_TOKENS = {  # attribute of the official tokenizer -> token
    "image_token": "<|IMAGE|>",
    "audio_token": "<|AUDIO|>",
    "video_token": "<|VIDEO|>",
    "vision_bos_token": "<|vision_bos|>",
    "vision_eos_token": "<|vision_eos|>",
    "audio_bos_token": "<|audio_bos|>",
    "audio_eos_token": "<|audio_eos|>",
}
CHAT_TEMPLATE = """\
{%- if messages[0]['role'] != 'system' -%}
<|im_start|>system
You are a helpful assistant.<|im_end|>
{% endif -%}
{%- for message in messages -%}
<|im_start|>{{ message['role'] }}
{% if message['content'] is string -%}
{{ message['content'] }}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'image' -%}<|vision_bos|><|IMAGE|><|vision_eos|>
{%- elif part['type'] == 'audio' -%}<|audio_bos|><|AUDIO|><|audio_eos|>
{%- elif part['type'] == 'video' -%}<|vision_bos|><|VIDEO|><|vision_eos|>
{%- else -%}{{ part['text'] }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}
"""


def texts() -> list[str]:
    """Every sentence that the world's prompts are made of, and the words that describe it."""
    tasks = [*world.VIDEO_TASKS.values(), *world.ITEM_TASKS.values()]
    questions = [t.question.format(colour=c) for t in tasks for c in world.COLOURS]
    words = [*world.SHAPES, *world.COLOURS, *world.SOUNDS, "silence", "nothing"]
    ordinals = [f"the {o} {kind}" for o in world.ORDINALS for kind in ("audio", "image")]
    options = [f"{letter}. {text}\n" for letter in world.LETTERS for text in [*words, *ordinals]]
    turns = ["system\n", "user\n", "assistant\n", world.SYSTEM_PROMPT]
    endings = [world.VIDEO_INSTRUCTION, world.VIDEO_INSTRUCTION + "\n", world.VIDEO_ENDING, world.ITEMS_INSTRUCTION]
    return [*questions, *[q + "\n" for q in questions], *options, *turns, *endings, *(" " + w for w in words)]


def tokenizer() -> Qwen2Tokenizer:
    """A Qwen2Tokenizer with the special tokens of Qwen2.5-Omni and a vocabulary in which the world's words are single tokens."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=4096, min_frequency=1, initial_alphabet=sorted(alphabet), show_progress=False)
    bpe.train_from_iterator(sorted(texts()), trainer)
    learned = json.loads(bpe.to_str())["model"]
    return Qwen2Tokenizer(
        vocab=learned["vocab"],
        merges=[tuple(m) for m in learned["merges"]],
        unk_token="<|endoftext|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens={"im_start_token": "<|im_start|>", **SPECIAL_TOKENS},
        chat_template=CHAT_TEMPLATE,
    )


def config(made: Qwen2Tokenizer) -> Qwen2_5OmniThinkerConfig:
    """12 decoder layers of width 192 (3 query heads, 1 key-value head, MQA), two layers in each encoder: 6.2 M parameters."""
    ids = {name: made.convert_tokens_to_ids(token) for name, token in SPECIAL_TOKENS.items()}
    width = 192
    return Qwen2_5OmniThinkerConfig(
        audio_config=dict(
            d_model=128,
            encoder_layers=2,
            encoder_attention_heads=4,
            encoder_ffn_dim=384,
            num_mel_bins=128,
            n_window=100,
            output_dim=width,
        ),
        vision_config=dict(
            depth=2,
            hidden_size=128,
            intermediate_size=384,
            num_heads=4,
            out_hidden_size=width,
            fullatt_block_indexes=[1],
        ),
        text_config=dict(
            hidden_size=width,
            intermediate_size=512,
            num_hidden_layers=12,
            num_attention_heads=3,
            num_key_value_heads=1,
            vocab_size=-(-len(made) // 64) * 64,
            max_position_embeddings=4096,
            rope_parameters=dict(rope_type="default", rope_theta=1e4, mrope_section=[16, 8, 8]),
            use_sliding_window=False,
        ),
        audio_token_index=ids["audio_token"],
        image_token_index=ids["image_token"],
        video_token_index=ids["video_token"],
        audio_start_token_id=ids["audio_bos_token"],
        audio_end_token_id=ids["audio_eos_token"],
        vision_start_token_id=ids["vision_bos_token"],
        vision_end_token_id=ids["vision_eos_token"],
        user_token_id=made.convert_tokens_to_ids("user"),
        position_id_per_seconds=25,
        seconds_per_chunk=2,
        tie_word_embeddings=True,
    )


def save(model, made: Qwen2Tokenizer, folder) -> None:
    """Write config, fp16 weights, tokenizer and chat template as `from_pretrained` reads them."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    stored = next(model.parameters()).dtype
    model.to(torch.float16).save_pretrained(folder)
    model.to(stored)
    made.save_pretrained(folder)
    for file in Path(folder).iterdir():
        file.chmod(0o644)
