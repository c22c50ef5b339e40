"""What the adapters of all families share: a question and its encoded media become the decoder's input."""

import torch

from ..errors import InputError
from ..prompt import build
from ..questions import Question
from ..sequence import Sequence


def grid_positions(grid, merge: int, seconds_per_grid: float, per_second: int) -> torch.Tensor:
    """(3, n) temporal, height and width ids of a (t, h, w) patch grid after merging, counted from 0."""
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
    """A loaded model. A family sets, besides `encode`:

    folder, system_prompt, device, dtype, tokenizer; decoder, the HF text model; head, (.., D) to logits; layout, whose
    `of(role, index, kind, features)` gives a `MediaLayout`; tokens, the placeholder token of each kind of medium; patch and
    temporal, the vision encoder's patch size in pixels and in frames.
    """

    def check(self) -> None:
        """Raise InputError for what cannot be traced or read: sliding windows, placeholders that the tokenizer lacks."""
        if "sliding_attention" in self.decoder.config.layer_types:
            raise InputError(
                f"{self.folder}: sliding-window layers cannot be traced; set use_sliding_window to false in config.json"
            )
        for token in self.tokens.values():
            if len(self.tokenizer(token, add_special_tokens=False)["input_ids"]) != 1:
                raise InputError(
                    f"{self.folder}: {token} is not a token of its own; use the tokenizer that came with the checkpoint"
                )

    @torch.inference_mode()
    def sequence(self, question: Question, features: dict[str, dict], unions=None) -> Sequence:
        """The decoder's input for one question. features: media_id -> what `encode` gave."""
        media = {m.id: self.layout.of(m.role, m.index, m.kind, features[m.media_id]) for m in question.media}
        prompt = build(question, self.tokenizer, self.system_prompt, media, unions)
        embeds = self.decoder.get_input_embeddings()(prompt.ids.to(self.device))
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
                embeds[at.to(self.device)] = found
        return Sequence(question, prompt.ids, embeds, prompt.positions, prompt.spans, prompt.letter_ids, prompt.variant_ids)
