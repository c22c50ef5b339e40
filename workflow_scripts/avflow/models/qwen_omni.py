"""Qwen2.5-Omni: the Thinker only, with video and audio interleaved in two-second chunks and TMRoPE positions.

The full checkpoints and the shipped tiny one load alike; talker tensors are not read into memory. The module relies only on
interfaces that are the same in transformers 5.17 to 5.20: `get_decoder`, `get_image_features`, `get_video_features`,
`get_audio_features` and `lm_head`. Layout and positions follow arXiv 2503.20215, section 2.2. Tests hold them equal to the
official processor and get_rope_index.
"""

from pathlib import Path

import torch
from transformers import Qwen2_5OmniThinkerConfig, Qwen2_5OmniThinkerForConditionalGeneration

from ..errors import InputError
from ..media import SAMPLE_RATE, SHORTEST_SOUND, log_mel, mel_frames
from . import aligned_mlp, cpu_rotary, fused_norms, segment_attention
from .adapter import Adapter, grid_positions
from .checkpoint import read_tokenizer
from .prompt import Block, MediaLayout
from .thinker import load_thinker

TOKENS = {
    "audio": "<|AUDIO|>",
    "image": "<|IMAGE|>",
    "video": "<|VIDEO|>",
    "audio_start": "<|audio_bos|>",
    "audio_end": "<|audio_eos|>",
    "vision_start": "<|vision_bos|>",
    "vision_end": "<|vision_eos|>",
}
MODEL_TYPES = ("qwen2_5_omni", "qwen2_5_omni_thinker")
LONGEST_SOUND = 300 * SAMPLE_RATE  # the official feature extractor drops the rest (chunk_length in preprocessor_config.json)


def audio_tokens(samples: int) -> int:
    """Number of audio tokens for `samples` at 16 kHz: 25 per second, from 100 mel frames per second and two strides of 2."""
    return ((mel_frames(samples) - 1) // 2 + 1 - 2) // 2 + 1


def chunks(times: torch.Tensor, length: int) -> list[tuple[int, int]]:
    """Split sorted position ids (n,) into runs (start, end). A new run starts where an id reaches the next multiple of `length`.

    As in the official code, one token advances by at most one chunk, even if its id lies several chunks ahead. So grids longer
    than a chunk give runs of one token.
    """
    runs, start, limit = [], 0, length
    for i, t in enumerate(times.tolist()):
        if t >= limit:
            runs.append((start, i))
            start, limit = i, limit + length
    return runs + [(start, len(times))]


class OmniLayout:
    """Which tokens and positions a medium becomes. It needs only the Thinker's config.

    tokens: the special tokens. audio_tokens(samples): how many a sound at 16 kHz has.
    """

    tokens = TOKENS
    audio_tokens = staticmethod(audio_tokens)

    sounds_per_second = 25  # tokens of a second of sound, see `audio_tokens`

    def __init__(self, config):
        self.merge, self.per_second = config.vision_config.spatial_merge_size, config.position_id_per_seconds
        self.chunk = config.position_id_per_seconds * config.seconds_per_chunk

    def of(self, role: str, index: int, kind: str, features: dict) -> MediaLayout:
        """The blocks and positions of one encoded medium. `role` and `index` name its atom."""
        atom = {"video": None, "candidate": f"candidate_{index}", "reference": "reference"}[role]
        if kind == "video" and "audio" in features:
            return self._interleaved(features, atom)
        start, end = ("audio_start", "audio_end") if kind == "audio" else ("vision_start", "vision_end")
        if kind == "audio":
            inner = self._of_sound(features)
            blocks = [self._block("audio", inner.shape[1], atom or "audio")]
        else:
            grids, inner = int(features["grid"][0]), self._of_pictures(features)
            per_grid = inner.shape[1] // grids
            frames = [self._block(kind, per_grid, atom or "video", None if atom else f"frame_{g}") for g in range(grids)]
            blocks = frames if atom is None else [self._block(kind, inner.shape[1], atom)]
        inner = inner + 1
        last = inner.max().item() + 1
        bos, eos = torch.zeros(3, 1, dtype=torch.int64), torch.full((3, 1), last)
        blocks = (self._block(start), *blocks, self._block(end))
        return MediaLayout(blocks, torch.cat([bos, inner, eos], 1), last + 1)

    def _block(self, kind: str, count: int = 1, atom: str = "delimiter", part: str | None = None) -> Block:
        return Block(self.tokens[kind], count, atom, part)

    def _of_sound(self, features) -> torch.Tensor:
        """Position ids (3, n) of a sound, from 0."""
        return torch.arange(self.audio_tokens(int(features["samples"]))).expand(3, -1)

    def _of_pictures(self, features) -> torch.Tensor:
        """Position ids (3, n) of a picture or of a video's frames, from 0."""
        seconds = float(features.get("seconds_per_grid", 1.0))
        return grid_positions(features["grid"].tolist(), self.merge, seconds, self.per_second)

    def _interleaved(self, features, atom: str | None) -> MediaLayout:
        """Video with its sound: [2 s of video][2 s of audio].., after both start marks and before both end marks.

        The two start marks share one position id, and so do the two end marks. atom: of a candidate or the reference, which stays
        one group; None for the clip, whose pictures and sound are separate groups.
        """
        video, audio = self._of_pictures(features), self._of_sound(features)
        per_grid = video.shape[1] // int(features["grid"][0])
        video_runs, audio_runs = chunks(video[0], self.chunk), chunks(audio[0], self.chunk)
        blocks = [self._block("vision_start"), self._block("audio_start")]
        columns = [torch.zeros(3, 2, dtype=torch.int64)]
        for j in range(max(len(video_runs), len(audio_runs))):
            if j < len(video_runs):
                a, b = video_runs[j]
                for g in range(a // per_grid, -(-b // per_grid)):
                    inside = min(b, (g + 1) * per_grid) - max(a, g * per_grid)
                    blocks.append(self._block("video", inside, atom or "video", None if atom else f"frame_{g}"))
                columns.append(video[:, a:b] + 1)
            if j < len(audio_runs):
                a, b = audio_runs[j]
                blocks.append(self._block("audio", b - a, atom or "audio", None if atom else f"audio_segment_{j}"))
                columns.append(audio[:, a:b] + 1)
        last = int(columns[-1].max()) + 1  # text goes on after the last chunk, as in get_rope_index
        blocks += [self._block("audio_end"), self._block("vision_end")]
        columns.append(torch.full((3, 2), last))
        return MediaLayout(tuple(blocks), torch.cat(columns, 1), last + 1)


class QwenOmni(Adapter):
    """A loaded Qwen2.5-Omni Thinker."""

    longest_sound = LONGEST_SOUND

    def __init__(self, folder, system_prompt: str, device="cpu", dtype=torch.float32):
        """Load a checkpoint folder. Raises InputError if the folder, a file or a tensor is missing or broken."""
        self.folder, self.system_prompt = Path(folder), system_prompt
        self.device, self.dtype = torch.device(device), dtype
        classes = Qwen2_5OmniThinkerForConditionalGeneration, Qwen2_5OmniThinkerConfig
        self.model = load_thinker(self.folder, dtype, "Qwen2.5-Omni", MODEL_TYPES, *classes).to(device)
        fused_norms.use(self.model, self.device, dtype)
        for tower in (self.model.visual, self.model.audio_tower):
            segment_attention.use(tower, self.device, dtype)
            aligned_mlp.align(tower, self.device, dtype)
        self.tokenizer = read_tokenizer(self.folder)
        config = self.model.config
        self.patch, self.temporal = config.vision_config.patch_size, config.vision_config.temporal_patch_size
        self.layout = OmniLayout(config)
        self.decoder, self.head = self.model.get_decoder(), self.model.lm_head
        cpu_rotary.use(self.decoder, self.device, dtype)
        self.tokens = {kind: TOKENS[kind] for kind in ("video", "image", "audio")}
        self.check()

    def vision(self, kind: str, patches: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        """Patches of one medium (t * h * w, values of a patch) -> (tokens, D)."""
        features = self.model.get_image_features if kind == "image" else self.model.get_video_features
        return torch.cat(list(features(patches.to(self.dtype), grid[None].to(self.device)).pooler_output))

    def audio(self, sound: torch.Tensor) -> torch.Tensor:
        """A sound (samples,) at 16 kHz -> (tokens, D). Raises InputError if it is too short for one token."""
        if audio_tokens(len(sound)) < 1:
            raise InputError(
                f"a sound of {len(sound)} samples at 16 kHz is too short for an audio token; give at least {SHORTEST_SOUND}"
            )
        mel = log_mel(sound, within=LONGEST_SOUND)  # (128, frames)
        mask = torch.ones(1, mel.shape[1], dtype=torch.long, device=self.device)
        return self.model.get_audio_features(mel[None].to(self.dtype), mask).last_hidden_state
