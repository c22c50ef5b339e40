"""video-SALMONN 2+: pictures and sound in one block, with a few audio tokens after each temporal grid of video.

One grid of video is two frames, (h / 2) x (w / 2) tokens. Sound gives two tokens per second, in chunks of 30 s that are padded
with silence. So a clip of 10 s has 20 tokens of sound and 40 of padding (`audio_padding`). Each grid is followed by the audio
tokens of its time, and the last grid by all that remain. The network is `salmonn_port`.

Position ids have two modes, because the published code trains with one and answers with the other:
  official_generate  what the official `generate()` uses; the published numbers come from it. It ignores the sound when it
                     recomputes positions. So the first t*h*w tokens of the block, pictures and sound alike, get the ids of a
                     video with one second per grid, and the rest of the block counts up like text.
  training           pictures by time (two ids per second), height and width; audio token i at (i, 0, i); text goes on after the
                     largest temporal id, or without sound after the largest id.

Items (several images and sounds in one question) follow the official `<image>` and `<audio>` placeholders. Each is its own block
between <|vision_start|> and <|vision_end|>. In both modes the official code numbers images by height and width, and sounds like
text.

Limits:
  * The checkpoints were trained with one video or one sound per question. Questions with several are our extension.
  * Every sound costs a whole chunk of tokens.
  * Sounds without any image have other training positions, which are not implemented.
  * If a video is longer than its sound's chunks, the official code asks for more audio tokens than it has, and fails. Here the
    later grids get none.
"""

from pathlib import Path

import torch
from transformers.utils import logging

from ..errors import InputError
from ..media import log_mel
from . import aligned_mlp, cpu_rotary, fused_norms, segment_attention
from .adapter import Adapter, grid_positions
from .checkpoint import read_tokenizer
from .prompt import Block, MediaLayout
from .salmonn_port import load_port

VISION_START, VISION_END = "<|vision_start|>", "<|vision_end|>"
TOKENS = {"video": "<|video_pad|>", "image": "<|image_pad|>", "audio": "<|audio_pad|>"}
POSITIONS = ("official_generate", "training")
SAMPLE_RATE = 16000


def whole_chunks(audio: torch.Tensor, chunk: int) -> torch.Tensor:
    """Sound (samples,), padded with zeros to at least one second and to whole chunks: (chunks, chunk)."""
    length = max(audio.shape[-1], SAMPLE_RATE)
    return torch.nn.functional.pad(audio, (0, -(-length // chunk) * chunk - audio.shape[-1])).view(-1, chunk)


def audio_after_grids(grids: int, seconds_per_grid: float, per_second: int, tokens: int) -> list[int]:
    """How many of `tokens` audio tokens follow each grid: those of its time. The last grid gets all that remain."""
    upto = (torch.arange(grids) * seconds_per_grid * per_second).long().clamp(max=tokens).tolist() + [tokens]
    return [b - a for a, b in zip(upto, upto[1:])]


class SalmonnLayout:
    """Which tokens and positions a medium becomes. A chunk of `chunk` samples becomes `tokens_per_chunk` tokens."""

    def __init__(self, config, chunk: int, tokens_per_chunk: int, positions: str = POSITIONS[0]):
        """config: Qwen2_5_VLConfig. positions: one of `POSITIONS`. Raises InputError for any other."""
        if positions not in POSITIONS:
            raise InputError(f"positions {positions!r} are unknown; known: {', '.join(POSITIONS)}")
        self.merge, self.per_second = config.vision_config.spatial_merge_size, config.vision_config.tokens_per_second
        self.chunk, self.tokens_per_chunk, self.positions = chunk, tokens_per_chunk, positions
        self.sounds_per_second = tokens_per_chunk * SAMPLE_RATE / chunk  # tokens of a second of sound

    def _audio_counts(self, features) -> tuple[int, int]:
        """Audio tokens of a medium, and how many of them are not padding."""
        samples = int(features["samples"])
        chunks = -(-max(samples, SAMPLE_RATE) // self.chunk)
        return chunks * self.tokens_per_chunk, -(-samples * self.tokens_per_chunk // self.chunk)

    def of(self, role: str, index: int, kind: str, features: dict) -> MediaLayout:
        """The blocks and positions of one encoded medium. `role` and `index` name its atom."""
        if role == kind == "video":
            return self._video(features)
        clip = "audio" if kind == "audio" else "video"  # a sound or a picture that is asked about alone
        atom = {"candidate": f"candidate_{index}", "reference": "reference", "video": clip}[role]
        if kind == "audio":
            tokens, heard = self._audio_counts(features)
            inner = torch.arange(tokens).expand(3, -1)
            blocks = [Block(TOKENS["audio"], heard, atom), Block(TOKENS["audio"], tokens - heard, atom, "audio_padding")]
        else:
            inner = grid_positions(features["grid"].tolist(), self.merge, 1.0, self.per_second)
            blocks = [Block(TOKENS["image"], inner.shape[1], atom)]
        return _block(blocks, inner, int(inner.max()) + 1)

    def _video(self, features) -> MediaLayout:
        grid = features["grid"].tolist()
        seconds = float(features["seconds_per_grid"])
        tokens, heard = self._audio_counts(features) if "audio" in features else (0, 0)
        video = grid_positions(grid, self.merge, seconds if self.positions == "training" else 1.0, self.per_second)
        per_grid = video.shape[1] // grid[0]
        blocks, columns, said = [], [], 0
        for g, count in enumerate(audio_after_grids(grid[0], seconds, self.per_second, tokens)):
            real = max(0, min(count, heard - said))
            blocks.append(Block(TOKENS["video"], per_grid, "video", f"frame_{g}"))
            blocks.append(Block(TOKENS["audio"], real, "audio", f"audio_segment_{g}"))
            blocks.append(Block(TOKENS["audio"], count - real, "audio", "audio_padding"))
            i = torch.arange(said, said + count)
            columns += [video[:, g * per_grid : (g + 1) * per_grid], torch.stack([i, torch.zeros_like(i), i])]
            said += count
        if self.positions == "training":
            inner = torch.cat(columns, 1)
            resume = int(inner[0].max() if tokens else inner.max()) + 1
        else:
            resume = int(video.max()) + 1 + tokens
            inner = torch.cat([video, torch.arange(resume - tokens, resume).expand(3, -1)], 1)
        return _block(blocks, inner, resume, after="\n")


def _block(blocks, inner, resume: int, after: str = "") -> MediaLayout:
    """Put blocks between the start and end marks. `inner` (3, n) are their positions and `resume` is the next one, both from 0.

    after: text that follows the end mark.
    """
    ends = [Block(VISION_END, 1, "delimiter")] + [Block(after, 1, "delimiter")] * bool(after)
    following = torch.arange(resume, resume + len(ends)).expand(3, -1)
    positions = torch.cat([torch.zeros(3, 1, dtype=torch.int64), inner + 1, following + 1], 1)
    kept = tuple(block for block in blocks if block.count)
    return MediaLayout((Block(VISION_START, 1, "delimiter"), *kept, *ends), positions, resume + 1 + len(ends))


class VideoSalmonn(Adapter):
    """A loaded video-SALMONN 2+ (a merged `_full` checkpoint)."""

    def __init__(self, folder, system_prompt: str, device="cpu", dtype=torch.float32, positions: str = POSITIONS[0]):
        """Load a checkpoint folder. Raises InputError if the folder, a file or a tensor is missing or broken."""
        self.folder, self.system_prompt = Path(folder), system_prompt
        self.device, self.dtype, self.tokens = torch.device(device), dtype, TOKENS
        logging.set_verbosity_error()
        self.model = load_port(self.folder, self.device, dtype)
        fused_norms.use(self.model, self.device, dtype)
        segment_attention.use(self.model.visual, self.device, dtype)
        aligned_mlp.align(self.model.visual, self.device, dtype)
        self.tokenizer = read_tokenizer(self.folder)
        self.decoder, self.head = self.model.decoder, self.model.vl.lm_head
        cpu_rotary.use(self.decoder, self.device, dtype)
        vision = self.model.config.vision_config
        self.patch, self.temporal = vision.patch_size, vision.temporal_patch_size
        self.layout = SalmonnLayout(self.model.config, self.model.chunk_samples, self.model.tokens_per_chunk, positions)
        self.check()

    def vision(self, kind: str, patches: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        """Patches of one medium (t * h * w, values of a patch) -> (tokens, D)."""
        return self.model.vision(patches, grid)

    def audio(self, sound: torch.Tensor) -> torch.Tensor:
        """A sound (samples,) at 16 kHz -> (tokens, D), in whole chunks."""
        chunks = whole_chunks(sound, self.model.chunk_samples)
        mel = torch.stack([log_mel(chunk, len(chunk)) for chunk in chunks])  # (chunks, mel bins, frames)
        return self.model.audio(mel).flatten(0, 1)

    def sequence(self, question, features, unions=None):
        """As `Adapter.sequence`. Raises InputError for training positions of sounds without any image or video."""
        if self.layout.positions == "training" and all(m.kind == "audio" for m in question.media):
            raise InputError(f"question {question.question_id}: sounds alone have no training positions; use official_generate")
        return super().sequence(question, features, unions)
