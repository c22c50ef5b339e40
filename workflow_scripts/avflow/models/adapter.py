"""What the adapters of all families share: they turn a question and its encoded media into the decoder's input."""

import torch

from ..errors import InputError, Unusable
from ..media import IMAGE_MEAN, IMAGE_STD, patchify
from ..questions import Question
from .prompt import build
from .sequence import Sequence


def grid_positions(grid, merge: int, seconds_per_grid: float, per_second: int) -> torch.Tensor:
    """Temporal, height and width ids (3, n) of a (t, h, w) patch grid after merging, from 0."""
    t, h, w = grid[0], grid[1] // merge, grid[2] // merge
    time = (torch.arange(t) * seconds_per_grid * per_second).long()
    return torch.stack(
        [
            time[:, None, None].expand(t, h, w),
            torch.arange(h)[None, :, None].expand(t, h, w),
            torch.arange(w)[None, None, :].expand(t, h, w),
        ]
    ).reshape(3, -1)


class Adapter:
    """A loaded model. Each family sets:

    folder, system_prompt, device, dtype, tokenizer
    decoder            the Hugging Face text model
    head               (.., D) -> logits (.., V)
    layout             its `of(role, index, kind, features)` gives a `MediaLayout`. A second of sound becomes its
                       `sounds_per_second` tokens
    tokens             the placeholder token of each kind of medium
    patch, temporal    the vision encoder's patch size, in pixels and in frames
    pixels             mean and standard deviation of the colours that the vision encoder expects, in shares of 255
    longest_sound      the encoder's limit in samples, or None
    max_tokens         the most tokens of a prompt, or None for the `max_position_embeddings` of the decoder's config
    choices            what config.yaml says about asking it, `families.Choices`, if `families.load` loaded it
    vision(kind, patches, grid) -> (n, (1 + levels) * D) and audio(sound) -> (m, D), the encoders

    levels: 0, or how many first layers of the decoder get features of their own (see `Sequence.deepstack`), which stand behind
    those of the input.
    """

    pixels = (IMAGE_MEAN, IMAGE_STD)
    longest_sound: int | None = None
    max_tokens: int | None = None
    choices = None

    def check(self) -> None:
        """Raise InputError for sliding-window layers, which cannot be traced, and for placeholders missing from the tokenizer."""
        if "sliding_attention" in (getattr(self.decoder.config, "layer_types", None) or ()):
            raise InputError(
                f"{self.folder}: sliding-window layers cannot be traced; set use_sliding_window to false in config.json"
            )
        for token in self.tokens.values():
            if len(self.tokenizer(token, add_special_tokens=False)["input_ids"]) != 1:
                raise InputError(f"{self.folder}: {token} is not a single token; use the tokenizer that came with the checkpoint")

    @torch.inference_mode()
    def encode(self, kind: str, frames=None, audio=None, fps: float | None = None) -> dict[str, torch.Tensor]:
        """Encoder outputs of one medium. They never depend on other media.

        kind: "video" (frames uint8 (T, 3, H, W), audio (samples,) or None, fps), "image" (frames (1, 3, H, W)) or "audio".
        Returns those that apply of vision (n, (1 + levels) * D), audio (m, D), grid (3,) int64 in patches, seconds_per_grid ()
        and samples ().
        """
        out = {}
        if frames is not None:
            patches, grid = patchify(frames.to(self.device), self.patch, self.layout.merge, self.temporal, *self.pixels)
            out["grid"] = torch.tensor(grid)
            out["vision"] = self.vision(kind, patches, out["grid"])
            if kind == "video":
                out["seconds_per_grid"] = torch.tensor(self.temporal / fps, dtype=torch.float64)
        if audio is not None:
            audio = audio[: self.longest_sound]
            out["audio"] = self.audio(audio.to(self.device).float())
            out["samples"] = torch.tensor(len(audio))
        return out

    @torch.inference_mode()
    def sequence(self, question: Question, features: dict[str, dict], unions=None) -> Sequence:
        """The decoder's input for one question. features: media_id -> outputs of `encode`.

        Raises Unusable if the prompt has more than `max_tokens`, InputError if it has another number of placeholders than there
        are features, and both as `prompt.build` does.
        """
        media = {m.id: self.layout.of(m.role, m.index, m.kind, features[m.media_id]) for m in question.media}
        prompt = build(question, self.tokenizer, self.system_prompt, media, unions)
        most = self.max_tokens or self.decoder.config.max_position_embeddings
        if len(prompt.ids) > most:
            what = f"question {question.question_id}: its prompt has {len(prompt.ids)} tokens, more than the {most} of this model"
            raise Unusable("too_many_tokens", f"{what}; set max_tokens in its sampling, or leave the clip out with max_seconds")
        embeds, deepstack = self.decoder.get_input_embeddings()(prompt.ids.to(self.device)), None
        placed = [question.item(s["id"]).media_id for s in question.layout if s["seg"] == "media"]
        for kinds, part in ((("image", "video"), "vision"), (("audio",), "audio")):
            token_ids = torch.tensor([self.tokenizer.convert_tokens_to_ids(self.tokens[k]) for k in kinds])
            at = torch.isin(prompt.ids, token_ids).nonzero()[:, 0]
            found = [features[m][part] for m in placed if part in features[m]]
            if found:
                found = torch.cat(found).to(self.device, embeds.dtype)
                if len(found) != len(at):
                    raise InputError(
                        f"question {question.question_id}: {len(at)} {part} placeholders but {len(found)} features;"
                        " delete the features and extract them again"
                    )
                at, (here, *later) = at.to(self.device), found.split(embeds.shape[1], 1)
                embeds[at] = here
                if later:
                    deepstack = embeds.new_zeros(len(later), *embeds.shape)
                    deepstack[:, at] = torch.stack(later)
        names = prompt.spans, prompt.letter_ids, prompt.variant_ids
        return Sequence(question, prompt.ids, embeds, prompt.positions, *names, deepstack=deepstack)
