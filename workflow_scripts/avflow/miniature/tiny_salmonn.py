"""The tiny video-SALMONN 2+: its sizes, its batched encoders, and how it is saved under the official tensor names.

The classes are those that the real checkpoints are loaded into (`models.salmonn_port`). Only the sizes are small. One of them is
Whisper's chunk: 10 s instead of 30 s. A chunk makes 20 audio tokens; a clip of 4 s fills 8 of them.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import Qwen2Tokenizer

from ..media import HOP, log_mel, sampling
from ..models import SalmonnLayout, SalmonnPort, port_name
from ..models.video_salmonn import TOKENS
from . import datasets, tiny, world

SPECIAL_TOKENS = {
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
    "audio_token": "<|audio_pad|>",
    "vision_start_token": "<|vision_start|>",
    "vision_end_token": "<|vision_end|>",
}
CHAT_TEMPLATE = tiny.chat_template(
    "<|vision_start|><|image_pad|><|vision_end|>",
    "<|vision_start|><|audio_pad|><|vision_end|>",
    "<|vision_start|><|video_pad|><|vision_end|>\n",
)
CHUNK_SECONDS = 10
PREPROCESSOR = tiny.preprocessor("Qwen2_5_VLProcessor", CHUNK_SECONDS)
FRAMES = 16  # per clip, as under sampling in config.yaml


def tokenizer() -> Qwen2Tokenizer:
    """The world's vocabulary with the special tokens of video-SALMONN 2+."""
    return tiny.tokenizer(SPECIAL_TOKENS, CHAT_TEMPLATE)


def config(made: Qwen2Tokenizer) -> dict:
    """An official config.json. 12 decoder layers of width 192, two layers per encoder and in the Q-Former: 6.7 M parameters.

    Once its MLPs have 96 units (`narrow_tiny.py`), 3.8 M.
    """
    ids = {name: made.convert_tokens_to_ids(token) for name, token in SPECIAL_TOKENS.items()}
    return dict(
        model_type="qwen2_5_vl",
        vision_config=dict(tiny.VISION, tokens_per_second=2),
        audio_config=dict(
            num_mel_bins=128,
            d_model=128,
            encoder_layers=2,
            encoder_attention_heads=2,
            encoder_ffn_dim=384,
            activation_function="gelu",
            max_source_positions=50 * CHUNK_SECONDS,
            second_per_window=0.5,
            second_stride=0.5,
            qformer_config=dict(
                hidden_size=128,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=256,
                hidden_act="gelu",
                layer_norm_eps=1e-12,
                encoder_width=128,
                cross_attention_freq=1,
                query_length=1,
            ),
        ),
        **tiny.DECODER,
        vocab_size=tiny.vocabulary_size(made),
        rms_norm_eps=1e-6,
        rope_theta=tiny.ROPE_THETA,
        rope_scaling=dict(type="mrope", mrope_section=tiny.ROPE_SECTIONS),
        tie_word_embeddings=True,
        bos_token_id=made.pad_token_id,
        eos_token_id=made.eos_token_id,
        audio_token_id=ids["audio_token"],
        image_token_id=ids["image_token"],
        video_token_id=ids["video_token"],
        vision_start_token_id=ids["vision_start_token"],
        vision_end_token_id=ids["vision_end_token"],
    )


def padded_mel(waves: torch.Tensor, chunk: int) -> torch.Tensor:
    """Spectrograms (n, 128, chunk / 160) of short sounds (n, samples), padded with silence to `chunk` samples.

    The result is exact. After the last window that overlaps the sound, all frames are the same, so one is computed and repeated.
    """
    mel = log_mel(waves, -(-waves.shape[1] // HOP) * HOP + 3 * HOP)
    return torch.cat([mel, mel[..., -1:].expand(-1, -1, chunk // HOP - mel.shape[2])], 2)


def projections(attention, h):
    """Queries, keys and values of a vision block's attention, see `tiny.batched_vision`."""
    return attention.qkv(h).chunk(3, -1)


class TinySalmonn:
    """The model as `train_tiny.py` trains it, with official_generate's positions. That script lists what a family provides."""

    tokens = TOKENS
    encoders = ("whisper", "qformer", "q_tokens", "audio_proj", "vl.model.visual")
    frame_times = (
        sampling.spread_indices(datasets.CLIP_FPS * world.SECONDS, world.SECONDS, 0.1, FRAMES, FRAMES) / datasets.CLIP_FPS
    ).tolist()
    own_name = staticmethod(port_name)  # a tensor's name in the checkpoint -> its name in the model
    clip = dict(
        grid=torch.tensor([FRAMES // 2, 4, 4]),
        seconds_per_grid=torch.tensor(2 * world.SECONDS / FRAMES),
        audio=0,
        samples=torch.tensor(64000),
    )

    def __init__(self, device):
        self.tokenizer = tokenizer()
        self.settings = config(self.tokenizer)
        self.model = SalmonnPort(self.settings).to(device)
        self.decoder, self.head = self.model.decoder, self.model.vl.lm_head
        self.layout = SalmonnLayout(self.model.config, self.model.chunk_samples, self.model.tokens_per_chunk)

    def vision(self, patches, grid):
        """Encode the patches of pictures: (n, h * w, pixels) -> (n, tokens per picture, D)."""
        return tiny.batched_vision(self.model.visual, patches, grid, projections)

    def audio(self, waves):
        """Encode sounds of at most one chunk each: (n, samples) -> (n, tokens per chunk, D)."""
        return self.model.audio(padded_mel(waves, self.model.chunk_samples))

    def resize(self, units: int) -> None:
        """Give the decoder's MLPs another number of units."""
        tiny.resize(self.decoder, units)
        self.settings["intermediate_size"] = units

    def save(self, folder) -> None:
        """Write config.json, fp16 weights under the official names, tokenizer, chat template and preprocessor."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(self.settings, indent=2) + "\n", encoding="utf-8")
        save_file(self.model.official_state(torch.float16), folder / "model.safetensors", {"format": "pt"})
        tiny.save_processor(self.tokenizer, PREPROCESSOR, folder)
