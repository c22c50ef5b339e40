"""Qwen3-Omni (30B-A3B): the Thinker only, with video and sound interleaved by time, TMRoPE positions and DeepStack.

It differs from Qwen2.5-Omni in what this module says, and in its decoder, whose layers have key and query norms and experts:
    * Sound has 13 tokens per second. Each second is encoded by itself up to the attention, which reaches over 8 s.
    * A video's tokens and its sound's are merged by their times, token by token. Times need not be whole numbers.
    * Both start marks count, and so do both end marks.
    * The vision encoder has further outputs. They are added to the states after the decoder's first layers (DeepStack).
    * The processor pads no sound that comes alone, and cuts none off. So the last window of a spectrogram reflects the sound.

If several sounds come in one call, the official processor pads them to the longest, and what a sound becomes depends on the
others. Here every sound is encoded as if it came alone. Layout and positions follow arXiv 2509.17765. Tests hold them equal to
the official processor and get_rope_index.
"""

from pathlib import Path

import torch
from transformers import Qwen3OmniMoeThinkerConfig, Qwen3OmniMoeThinkerForConditionalGeneration

from ..errors import InputError
from ..media import HOP, SHORTEST_SOUND, log_mel
from . import cpu_rotary, fused_norms, segment_attention
from .adapter import Adapter
from .checkpoint import read_colours, read_tokenizer
from .prompt import MediaLayout
from .qwen_omni import OmniLayout
from .thinker import load_thinker

TOKENS = {
    "audio": "<|audio_pad|>",
    "image": "<|image_pad|>",
    "video": "<|video_pad|>",
    "audio_start": "<|audio_start|>",
    "audio_end": "<|audio_end|>",
    "vision_start": "<|vision_start|>",
    "vision_end": "<|vision_end|>",
}
MODEL_TYPES = ("qwen3_omni_moe", "qwen3_omni_moe_thinker")
FRAMES, TOKENS_PER_FRAMES = 100, 13  # of mel, and the tokens that they become


def audio_tokens(samples: int) -> int:
    """Number of audio tokens for `samples` at 16 kHz: 13 for 100 mel frames, and those of three strides of 2 for the rest."""
    whole, rest = divmod(samples // HOP, FRAMES)
    for _ in range(3):
        rest = -(-rest // 2)
    return whole * TOKENS_PER_FRAMES + rest


class Qwen3OmniLayout(OmniLayout):
    """Which tokens and positions a medium becomes. It needs only the Thinker's config."""

    tokens = TOKENS
    audio_tokens = staticmethod(audio_tokens)

    def __init__(self, config):
        self.merge, self.per_second = config.vision_config.spatial_merge_size, config.position_id_per_seconds

    def _times(self, features, dtype) -> torch.Tensor:
        """When each grid of a video or picture begins, in position ids (grids,), computed in this dtype."""
        seconds = torch.as_tensor(features.get("seconds_per_grid", 1.0)).to(dtype)
        return torch.arange(int(features["grid"][0])) * seconds * self.per_second

    def _of_pictures(self, features) -> torch.Tensor:
        t, h, w = features["grid"].tolist()
        h, w = h // self.merge, w // self.merge
        ids = self._times(features, torch.float32)[:, None, None], torch.arange(h)[None, :, None], torch.arange(w)[None, None]
        return torch.stack([of.expand(t, h, w).float() for of in ids]).flatten(1)

    def _interleaved(self, features, atom: str | None) -> MediaLayout:
        """Video with its sound, merged by time: at equal times, pictures come first.

        The text goes on after the last run of one kind, as in get_rope_index, even if an earlier token has a larger id. The
        official processor places tokens by times in 64 bits, and get_rope_index numbers them by times in 32 bits.

        atom: of a candidate or the reference, which stays one group; None for the clip. Its pictures and its sound are separate
        groups. Each run of sound between two grids is a segment, and the last one holds all that remains.
        """
        video, audio = self._of_pictures(features), self._of_sound(features)
        grids, sound = int(features["grid"][0]), audio.shape[1]
        per_grid = video.shape[1] // grids
        times = self._times(features, torch.float64).repeat_interleave(per_grid)
        placed, numbered = (torch.cat([at, torch.arange(sound, dtype=at.dtype)]).argsort(stable=True) for at in (times, video[0]))
        runs = self._runs(placed, per_grid, grids * per_grid)
        blocks, segment = [self._block("vision_start"), self._block("audio_start")], 0
        for grid, count in runs:
            name = f"audio_segment_{segment}" if grid is None else f"frame_{grid}"
            kind = "audio" if grid is None else "video"
            blocks.append(self._block(kind, count, atom or kind, None if atom else name))
            segment += grid is None
        inner = torch.cat([video, audio], 1)[:, numbered] + 2
        heard = (numbered >= video.shape[1]).long()
        tail = int((heard != heard[-1]).nonzero().max()) + 1 if (heard != heard[-1]).any() else 0
        last = inner[:, tail:].max().item() + 1
        blocks += [self._block("audio_end"), self._block("vision_end")]
        starts, ends = (torch.arange(2).expand(3, -1) + at for at in (0, last))
        return MediaLayout(tuple(blocks), torch.cat([starts, inner, ends], 1), last + 2)

    def _runs(self, placed: torch.Tensor, per_grid: int, pictures: int) -> list[tuple[int | None, int]]:
        """Runs of tokens of one grid, or of sound: (grid or None, how many). placed (n,): the tokens' numbers in order."""
        owner = torch.where(placed < pictures, placed // per_grid, -1)
        found, counts = owner.unique_consecutive(return_counts=True)
        return [(None if grid < 0 else grid, count) for grid, count in zip(found.tolist(), counts.tolist())]


class Qwen3Omni(Adapter):
    """A loaded Qwen3-Omni Thinker."""

    def __init__(self, folder, system_prompt: str, device="cpu", dtype=torch.float32):
        """Load a checkpoint folder. Raises InputError if the folder, a file or a tensor is missing or broken."""
        self.folder, self.system_prompt = Path(folder), system_prompt
        self.device, self.dtype = torch.device(device), dtype
        classes = Qwen3OmniMoeThinkerForConditionalGeneration, Qwen3OmniMoeThinkerConfig
        self.model = load_thinker(self.folder, dtype, "Qwen3-Omni", MODEL_TYPES, *classes).to(device)
        fused_norms.use(self.model, self.device, dtype)
        for tower in (self.model.visual, self.model.audio_tower):
            segment_attention.use(tower, self.device, dtype)
        self.tokenizer, self.pixels = read_tokenizer(self.folder), read_colours(self.folder)
        vision = self.model.config.vision_config
        self.patch, self.temporal = vision.patch_size, vision.temporal_patch_size
        self.layout = Qwen3OmniLayout(self.model.config)
        self.decoder, self.head = self.model.get_decoder(), self.model.lm_head
        cpu_rotary.use(self.decoder, self.device, dtype)
        self.tokens = {kind: TOKENS[kind] for kind in ("video", "image", "audio")}
        self.check()

    def vision(self, kind: str, patches: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        """Patches of one medium (t * h * w, values of a patch) -> (tokens, (1 + levels) * D), the levels of DeepStack last."""
        features = self.model.get_image_features if kind == "image" else self.model.get_video_features
        found = features(patches.to(self.dtype), grid[None].to(self.device))
        return torch.cat([torch.cat(list(found.pooler_output)), *found.deepstack_features], 1)

    def audio(self, sound: torch.Tensor) -> torch.Tensor:
        """A sound (samples,) at 16 kHz -> (tokens, D). Raises InputError if it is too short."""
        if len(sound) < SHORTEST_SOUND:
            raise InputError(
                f"a sound of {len(sound)} samples at 16 kHz is too short for an audio token; give at least {SHORTEST_SOUND}"
            )
        mel = log_mel(sound, within=len(sound))  # (128, frames)
        mask = torch.ones(1, mel.shape[1], dtype=torch.long, device=self.device)
        return self.model.get_audio_features(mel[None].to(self.dtype), mask).last_hidden_state
