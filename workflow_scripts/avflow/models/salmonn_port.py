"""video-SALMONN 2+ (arXiv 2506.15220, version 2+), built from transformers' own classes.

    Qwen2.5-VL           pictures and text
    Whisper's encoder    sound; its output is cut into windows of half a second
    BLIP-2 Q-Former      reads each window with one learned query
    a linear layer       from the Q-Former's width to the decoder's

`workflow_scripts/check_parity.py` compares this port with outputs of the official code, bytedance/video-SALMONN-2 at 61faec0.
Checkpoints keep the official tensor names, which are mapped while they are read.
"""

from pathlib import Path

import torch
from safetensors import safe_open
from torch import nn
from transformers import (
    Blip2QFormerConfig,
    Blip2QFormerModel,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    WhisperConfig,
)
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from ..errors import InputError
from .checkpoint import read_config, shards

PREFIXES = (  # (official, here); the first that matches counts
    ("visual.", "vl.model.visual."),
    ("model.", "vl.model.language_model."),
    ("lm_head.", "vl.lm_head."),
    ("audio.qformer.bert.embeddings.LayerNorm.", "qformer.layernorm."),
    ("audio.qformer.bert.encoder.", "qformer.encoder."),
    ("audio.q_tokens", "q_tokens"),
    ("audio.audio_proj.", "audio_proj."),
    ("audio.", "whisper."),
)
INSIDE_QFORMER = ((".attention.self.", ".attention.attention."), (".crossattention.self.", ".crossattention.attention."))
WHISPER = "num_mel_bins d_model encoder_layers encoder_attention_heads encoder_ffn_dim activation_function max_source_positions"
QFORMER = "hidden_size num_hidden_layers num_attention_heads intermediate_size hidden_act layer_norm_eps"
SECONDS_PER_POSITION = 0.02  # in Whisper's encoder: two spectrogram frames of 10 ms


def _renamed(name: str, source: int) -> str:
    """Replace a tensor's prefix, and the parts of a name that differ inside the Q-Former. Other names stay as they are."""
    for pair in PREFIXES:
        if name.startswith(pair[source]):
            name = pair[1 - source] + name[len(pair[source]) :]
            if "qformer." in name:
                for inside in INSIDE_QFORMER:
                    name = name.replace(inside[source], inside[1 - source])
            return name
    return name


def port_name(official: str) -> str:
    """The name here of an official tensor: `audio.conv1.weight` -> `whisper.conv1.weight`."""
    return _renamed(official, 0)


def official_name(ported: str) -> str:
    """The inverse of `port_name`."""
    return _renamed(ported, 1)


class SalmonnPort(nn.Module):
    """The network. config: an official config.json as a dict. To load weights, construct it under `torch.device("meta")`."""

    def __init__(self, config: dict):
        super().__init__()
        audio, qformer = config["audio_config"], config["audio_config"]["qformer_config"]
        flat = {k: v for k, v in config.items() if k not in ("audio_config", "model_type", "architectures")}
        self.vl = Qwen2_5_VLForConditionalGeneration._from_config(Qwen2_5_VLConfig(**flat), attn_implementation="sdpa")
        encoder = WhisperConfig(**{key: audio[key] for key in WHISPER.split()})
        self.whisper = WhisperEncoder._from_config(encoder, attn_implementation="sdpa")
        reader = Blip2QFormerConfig(
            **{key: qformer[key] for key in QFORMER.split()},
            cross_attention_frequency=qformer["cross_attention_freq"],
            encoder_hidden_size=qformer["encoder_width"],
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        self.qformer = Blip2QFormerModel._from_config(reader, attn_implementation="sdpa")
        self.q_tokens = nn.Parameter(0.02 * torch.randn(1, qformer["query_length"], qformer["hidden_size"]))
        self.audio_proj = nn.Linear(qformer["hidden_size"], config["hidden_size"])
        nn.init.normal_(self.audio_proj.weight, std=0.02)
        self.config = self.vl.config
        self.window = round(audio["second_per_window"] / SECONDS_PER_POSITION)  # Whisper positions that one query reads
        self.stride = round(audio["second_stride"] / SECONDS_PER_POSITION)
        self.tokens_per_chunk = ((audio["max_source_positions"] - self.window) // self.stride + 1) * qformer["query_length"]
        self.chunk_samples = audio["max_source_positions"] * 320  # samples per chunk of sound, at 16 kHz

    @property
    def decoder(self):
        """The Hugging Face text model."""
        return self.vl.model.language_model

    @property
    def visual(self):
        """The Hugging Face vision tower."""
        return self.vl.model.visual

    def vision(self, patches: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        """Patches of one medium and its grid (3,) -> (tokens, D)."""
        patches = patches.to(self.q_tokens.dtype)
        return self.visual(patches, grid_thw=grid[None].to(patches.device)).pooler_output

    def audio(self, mel: torch.Tensor) -> torch.Tensor:
        """Spectrograms of whole chunks (chunks, mel bins, frames) -> (chunks, tokens per chunk, D)."""
        heard = self.whisper(mel.to(self.q_tokens.dtype)).last_hidden_state  # (chunks, positions, C)
        windows = heard.unfold(1, self.window, self.stride).transpose(2, 3).flatten(0, 1)  # (chunks * windows, window, C)
        queries = self.q_tokens.expand(len(windows), -1, -1)
        read = self.qformer(query_embeds=queries, encoder_hidden_states=windows).last_hidden_state
        return self.audio_proj(read).reshape(len(mel), self.tokens_per_chunk, -1)

    def take(self, tensors) -> None:
        """Put official (name, tensor) pairs in place of the parameters, uncopied. Raises InputError if a shape does not fit.

        Tensors without a parameter here (BERT's position_ids, a tied head) are skipped.
        """
        places = {name: parameter.shape for name, parameter in self.named_parameters()}
        for official, tensor in tensors:
            name = port_name(official)
            if name not in places:
                continue
            if tensor.shape != places[name]:
                raise InputError(f"tensor {official} does not fit config.json; take both from the same checkpoint")
            owner, _, leaf = name.rpartition(".")
            setattr(self.get_submodule(owner), leaf, nn.Parameter(tensor, requires_grad=False))

    def complete(self, device) -> None:
        """Call it after `take`: tie the head, and create the buffers that no checkpoint holds.

        Raises InputError for parameters that `take` did not fill.
        """
        if self.config.tie_word_embeddings:
            self.vl.lm_head.weight = self.decoder.embed_tokens.weight
        missing = [official_name(name) for name, p in self.named_parameters() if p.is_meta]
        if missing:
            raise InputError(f"tensor {missing[0]} is missing ({len(missing)} in all); download the checkpoint again")
        for owner, config in ((self.decoder, self.config.text_config), (self.visual, self.config.vision_config)):
            name = "rotary_emb" if owner is self.decoder else "rotary_pos_emb"
            setattr(owner, name, type(getattr(owner, name))(config).to(device))

    def official_state(self, dtype) -> dict[str, torch.Tensor]:
        """All tensors under their official names, as a checkpoint stores them. A tied head is left out."""
        tied = self.config.tie_word_embeddings
        state = {official_name(name): tensor.detach().to("cpu", dtype) for name, tensor in self.state_dict().items()}
        return {name: tensor.contiguous() for name, tensor in state.items() if not (tied and name == "lm_head.weight")}


def load_port(folder: Path, device, dtype) -> SalmonnPort:
    """Read a checkpoint folder, tensor by tensor, straight onto the device. Raises InputError with folder and fault."""
    config, files = read_config(folder, "video-SALMONN 2+"), shards(folder)
    try:
        with torch.device("meta"):
            port = SalmonnPort(config)
        for file in files:
            with safe_open(str(file), "pt", device=str(device)) as opened:
                port.take((name, opened.get_tensor(name).to(dtype)) for name in opened.keys())  # noqa: SIM118
        port.complete(device)
    except KeyError as error:
        raise InputError(f"{folder}: config.json has no {error}; give the folder of a video-SALMONN 2+ checkpoint") from None
    except InputError as error:
        raise InputError(f"{folder}: {error}") from None
    return port.eval().requires_grad_(False)
