"""What the tiny models share: their sizes, a vocabulary of the world's words, a chat template, and a batched vision tower.

A tiny model is a real architecture with small sizes, trained by `train_tiny.py`: see `tiny_omni` and `tiny_salmonn`. The
vocabulary is a byte-level BPE, trained on the world's texts until each of their words is one token. In the real vocabulary common
words are single tokens, too.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from ..models import light_transformers  # noqa: F401  before all else of transformers

# isort: split
from transformers import Qwen2Tokenizer
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import apply_rotary_pos_emb_vision, get_vision_position_ids

from ..media import SAMPLE_RATE, encoder_inputs
from . import world

WIDTH = 192
DECODER = dict(  # 3 query heads, 1 key-value head
    hidden_size=WIDTH,
    intermediate_size=512,
    num_hidden_layers=12,
    num_attention_heads=3,
    num_key_value_heads=1,
    max_position_embeddings=4096,
    use_sliding_window=False,
)
ROPE_THETA, ROPE_SECTIONS = 1e4, [16, 8, 8]  # pairs of a head's dimensions that rotate with time, height and width
VISION = dict(
    depth=2,
    hidden_size=128,
    intermediate_size=384,
    num_heads=4,
    out_hidden_size=WIDTH,
    fullatt_block_indexes=[1],
)
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
{%- if part['type'] == 'image' -%}@IMAGE@
{%- elif part['type'] == 'audio' -%}@AUDIO@
{%- elif part['type'] == 'video' -%}@VIDEO@
{%- else -%}{{ part['text'] }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}
"""


def chat_template(image: str, audio: str, video: str) -> str:
    """A Jinja chat template in Qwen's form. image, audio, video: the text that stands for a medium of each kind."""
    return CHAT_TEMPLATE.replace("@IMAGE@", image).replace("@AUDIO@", audio).replace("@VIDEO@", video)


def texts() -> list[str]:
    """All sentences of the world's prompts, and all words that describe the world."""
    tasks = [*world.VIDEO_TASKS.values(), *world.ITEM_TASKS.values()]
    questions = [t.asked(cue) for t in tasks for cue in (range(len(t.cues)) if t.cues else [None])]
    free = [world.FREE_INSTRUCTION + "\n", world.FREE_TASK.asked()]
    replies = [world.reply(sound, shape) for sound in range(4) for shape in range(4)]
    words = [*world.SHAPES, *world.COLOURS, *world.SOUNDS, "silence", "nothing"]
    ordinals = [f"the {o} {kind}" for o in world.ORDINALS for kind in ("audio", "image")]
    stated = [f"the {o} audio is a {sound}" for o in world.ORDINALS for sound in world.SOUNDS]
    options = [f"{letter}. {text}\n" for letter in world.LETTERS for text in [*words, *ordinals, *stated]]
    turns = ["system\n", "user\n", "assistant\n", world.SYSTEM_PROMPT]
    endings = [world.VIDEO_INSTRUCTION, world.VIDEO_INSTRUCTION + "\n", world.VIDEO_ENDING, world.ITEMS_INSTRUCTION]
    return [*questions, *free, *replies, *[q + "\n" for q in questions], *options, *turns, *endings, *(" " + w for w in words)]


def tokenizer(special_tokens: dict[str, str], template: str) -> Qwen2Tokenizer:
    """A Qwen2Tokenizer in which the world's words are single tokens. special_tokens: the family's, attribute -> token."""
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
        extra_special_tokens={"im_start_token": "<|im_start|>", **special_tokens},
        chat_template=template,
    )


def vocabulary_size(made: Qwen2Tokenizer) -> int:
    """The number of embedding rows: the number of tokens, rounded up to a multiple of 64."""
    return -(-len(made) // 64) * 64


def preprocessor(processor_class: str, chunk_seconds: int) -> dict:
    """What preprocessor_config.json says, in the form of the released checkpoints, for transformers' AutoProcessor and its parts.

    Pictures get 56 x 56 pixels, as under `sampling` in config.yaml. chunk_seconds: the longest sound, or Whisper's chunk.
    """
    return dict(
        processor_class=processor_class,
        image_processor_type="Qwen2VLImageProcessor",
        image_mean=list(encoder_inputs.IMAGE_MEAN),
        image_std=list(encoder_inputs.IMAGE_STD),
        min_pixels=56 * 56,
        max_pixels=56 * 56,
        patch_size=14,
        temporal_patch_size=2,
        merge_size=2,
        feature_extractor_type="WhisperFeatureExtractor",
        feature_size=encoder_inputs.MELS,
        sampling_rate=SAMPLE_RATE,
        hop_length=encoder_inputs.HOP,
        n_fft=encoder_inputs.FFT,
        chunk_length=chunk_seconds,
        n_samples=chunk_seconds * SAMPLE_RATE,
        nb_max_frames=chunk_seconds * SAMPLE_RATE // encoder_inputs.HOP,
        padding_side="right",
        padding_value=0.0,
        return_attention_mask=True,
    )


def save_processor(made: Qwen2Tokenizer, settings: dict, folder) -> None:
    """Write tokenizer, chat template and `preprocessor` beside the weights, and make all files readable for everyone."""
    made.save_pretrained(folder)
    Path(folder, "preprocessor_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    for file in Path(folder).iterdir():
        file.chmod(0o644)


def resize(decoder, units: int) -> None:
    """Give every MLP of a decoder another number of units, with weights to be loaded."""
    decoder.config.intermediate_size = units
    for layer in decoder.layers:
        for name in ("gate_proj", "up_proj", "down_proj"):
            old = getattr(layer.mlp, name)
            sizes = (units, old.out_features) if name == "down_proj" else (old.in_features, units)
            setattr(layer.mlp, name, torch.nn.Linear(*sizes, bias=False, device=old.weight.device, dtype=old.weight.dtype))


def batched_vision(tower, patches, grid, project):
    """Run a Qwen2.5 vision tower on a batch of equally large pictures: (n, h * w, pixels) -> (n, h * w / merge^2, D).

    The result is exact if a picture fits into one attention window: then windowed and full attention are the same.
    project(attention, states) returns queries, keys and values, each (n, h * w, width).
    """
    at = get_vision_position_ids(torch.tensor([[1, *grid]]), tower.spatial_merge_size).to(patches.device)
    rotary = tuple(tower.rotary_pos_emb(patches, at))
    x = tower.patch_embed(patches.flatten(0, 1)).unflatten(0, patches.shape[:2])
    for block in tower.blocks:
        attention = block.attn
        q, k, v = (p.unflatten(-1, (attention.num_heads, -1)) for p in project(attention, block.norm1(x)))
        q, k = apply_rotary_pos_emb_vision(q, k, *rotary)
        x = x + attention.proj(
            F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)).transpose(1, 2).flatten(2)
        )
        x = x + block.mlp(block.norm2(x))
    return tower.merger(x.flatten(0, 1)).unflatten(0, (len(patches), -1))
