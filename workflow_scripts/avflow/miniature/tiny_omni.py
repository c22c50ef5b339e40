"""The tiny Qwen2.5-Omni: its sizes, its batched encoders, and how it is saved as an ordinary Hugging Face checkpoint.

The classes are the real ones (Qwen2Tokenizer, Qwen2_5OmniThinkerForConditionalGeneration). Only the sizes are small.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import Qwen2_5OmniThinkerConfig, Qwen2_5OmniThinkerForConditionalGeneration, Qwen2Tokenizer

from ..media import SAMPLE_RATE, log_mel
from ..models import OmniLayout
from ..models.qwen_omni import LONGEST_SOUND, TOKENS
from . import tiny, world

SPECIAL_TOKENS = {  # the official tokenizer's attribute -> token
    "image_token": "<|IMAGE|>",
    "audio_token": "<|AUDIO|>",
    "video_token": "<|VIDEO|>",
    "vision_bos_token": "<|vision_bos|>",
    "vision_eos_token": "<|vision_eos|>",
    "audio_bos_token": "<|audio_bos|>",
    "audio_eos_token": "<|audio_eos|>",
}
CHAT_TEMPLATE = tiny.chat_template(
    "<|vision_bos|><|IMAGE|><|vision_eos|>", "<|audio_bos|><|AUDIO|><|audio_eos|>", "<|vision_bos|><|VIDEO|><|vision_eos|>"
)
PREPROCESSOR = tiny.preprocessor("Qwen2_5OmniProcessor", LONGEST_SOUND // SAMPLE_RATE)
FPS = 2


def tokenizer() -> Qwen2Tokenizer:
    """The world's vocabulary with the special tokens of Qwen2.5-Omni."""
    return tiny.tokenizer(SPECIAL_TOKENS, CHAT_TEMPLATE)


def config(made: Qwen2Tokenizer) -> Qwen2_5OmniThinkerConfig:
    """12 decoder layers of width 192 and two layers per encoder: 6.2 M parameters.

    Once its MLPs have 96 units (`narrow_tiny.py`), 3.4 M.
    """
    ids = {name: made.convert_tokens_to_ids(token) for name, token in SPECIAL_TOKENS.items()}
    rope = dict(rope_type="default", rope_theta=tiny.ROPE_THETA, mrope_section=tiny.ROPE_SECTIONS)
    return Qwen2_5OmniThinkerConfig(
        audio_config=dict(
            d_model=128,
            encoder_layers=2,
            encoder_attention_heads=4,
            encoder_ffn_dim=384,
            num_mel_bins=128,
            n_window=100,
            output_dim=tiny.WIDTH,
        ),
        vision_config=dict(tiny.VISION),
        text_config=dict(tiny.DECODER, vocab_size=tiny.vocabulary_size(made), rope_parameters=rope),
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


def batched_audio(tower, mel):
    """Run the audio tower on a batch of equally long segments, at most 200 frames: (n, 128, frames) -> (n, frames // 4, D)."""
    x = F.gelu(tower.conv2(F.gelu(tower.conv1(mel)))).transpose(1, 2)
    x = x + tower.positional_embedding.positional_embedding[: x.shape[1]].to(x.dtype)
    for layer in tower.layers:
        attention, h = layer.self_attn, layer.self_attn_layer_norm(x)
        q, k, v = (
            p(h).unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)
            for p in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        x = x + attention.out_proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        x = x + layer.fc2(F.gelu(layer.fc1(layer.final_layer_norm(x))))
    x = x.unflatten(1, (-1, 2)).mean(2)  # (n, frames // 4, d_model)
    return tower.proj(tower.ln_post(x))


def projections(attention, h):
    """Queries, keys and values of a vision block's attention, see `tiny.batched_vision`."""
    return attention.q(h), attention.k(h), attention.v(h)


class TinyOmni:
    """The model as `train_tiny.py` trains it. The docstring of that script lists what a family provides."""

    tokens = {kind: TOKENS[kind] for kind in ("video", "image", "audio")}
    encoders = ("audio_tower", "visual")  # prefixes of the encoders' parameter names
    frame_times = [k / FPS for k in range(FPS * world.SECONDS)]  # seconds at which a clip's frames are taken
    own_name = staticmethod(lambda name: name)  # a tensor's name in the checkpoint -> its name in the model
    clip = dict(grid=torch.tensor([4, 4, 4]), seconds_per_grid=torch.tensor(1.0), audio=0, samples=torch.tensor(64000))

    def __init__(self, device):
        self.tokenizer = tokenizer()
        settings = config(self.tokenizer)
        self.model = Qwen2_5OmniThinkerForConditionalGeneration._from_config(settings, attn_implementation="sdpa").to(device)
        self.decoder, self.head, self.layout = self.model.get_decoder(), self.model.lm_head, OmniLayout(settings)

    def vision(self, patches, grid):
        """Encode the patches of pictures: (n, h * w, pixels) -> (n, tokens per picture, D)."""
        return tiny.batched_vision(self.model.visual, patches, grid, projections)

    def audio(self, waves):
        """Encode sounds, in segments of at most two seconds: (n, samples) -> (n, tokens per sound, D)."""
        mel = log_mel(waves)  # (n, 128, frames)
        segments = mel.unflatten(2, (-1, min(200, mel.shape[2]))).transpose(1, 2)  # (n, segments, 128, frames per segment)
        return batched_audio(self.model.audio_tower, segments.flatten(0, 1)).reshape(len(waves), -1, self.head.in_features)

    def resize(self, units: int) -> None:
        """Give the decoder's MLPs another number of units."""
        tiny.resize(self.decoder, units)

    def save(self, folder) -> None:
        """Write config, fp16 weights, tokenizer, chat template and preprocessor in the form that `from_pretrained` reads."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        stored = next(self.model.parameters()).dtype
        self.model.to(torch.float16).save_pretrained(folder)
        self.model.to(stored)
        tiny.save_processor(self.tokenizer, PREPROCESSOR, folder)
