"""Teach a decoder with narrower MLPs to compute what a tiny model computes, whatever is cut, hidden or swapped.

A tiny model is cheap to trace because it is small, and its MLPs are most of it. The tasks are known already, so the narrower
decoder (the student) only has to follow the wider one (the teacher), layer by layer. Where the teacher is unsure, for example
about a faint sound or behind a cut, the student is to be as unsure. So questions are asked as the study asks them: in every order
of their parts, with sounds muted or swapped, with pictures blanked, and with something cut in some layers.
"""

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ..questions import layouts
from .templates import FREE, TASKS, Template, kind_of, pairs, template, with_options
from .training import SIZE, Trainer
from .world import LETTERS

OTHER_ORDER = 0.3  # share of the tasks that are asked in another order than they were trained in
SWAPPED, BLANKED, MUTED = 0.1, 0.1, 0.1  # shares of the questions
CUT, NAMED = 0.7, 0.45  # shares of the questions in which something is cut, and of the cuts that are one of ROUTES
DISCARDED = 0.25  # share of the cuts that reach to the last layer; drawn ones then hide tokens from all others
WIDTHS = (1, 3, 3, 3, 5, 7, 9, 11, 12)  # of the cuts' windows, each as likely
ROUTES = {  # cut by name; other cuts are drawn: from one span to another, or from random tokens
    "clips": ["cross_frame", "cross_audio_segment", "audio<->video", "video->question", "audio->question", "question->last"]
    + ["video->last", "audio->last", "question_text->options", "question_text->last", "correct_option->last"]
    + ["incorrect_options->last", "video->correct_option", "audio->correct_option", "last->last"],
    "free": ["cross_frame", "cross_audio_segment", "audio<->video", "video->question", "audio->question", "question->last"]
    + ["video->reply", "audio->reply", "question->reply", "reply->reply"],
    "items": ["cross_candidate", "candidates->reference", "reference->candidates", "question->reference", "reference->question"]
    + ["candidates->question", "reference->last", "candidates->last", "question->last", "candidates->options"]
    + ["reference->correct_option", "question->correct_option", "candidates->correct_option", "correct_option->last"]
    + ["incorrect_options->last", "reference->options", "options->last"],
}


@dataclass
class Prompt:
    """A template with what can be cut in it. named (routes, 4, S, S) bool: by the right letter. spans (n, S) bool."""

    template: Template
    named: torch.Tensor
    spans: torch.Tensor


def strongest_units(trainer: Trainer, rows: int) -> list[torch.Tensor]:
    """The units of every layer's MLP, the strongest first, by what a unit adds: its root mean square times its column's norm."""
    sums, hooks = [], []
    for number, layer in enumerate(trainer.decoder.layers):
        sums.append(0)

        def note(module, inputs, number=number):
            sums[number] = sums[number] + inputs[0].float().pow(2).flatten(0, -2).sum(0)

        hooks.append(layer.mlp.down_proj.register_forward_pre_hook(note))
    with torch.no_grad():
        for task in TASKS:
            b = trainer.batch(task, rows)
            trainer.hidden([b], [trainer.embeds(b, *trainer.media_features(b))], blocked=False)
    for hook in hooks:
        hook.remove()
    norms = [layer.mlp.down_proj.weight.detach().norm(dim=0) for layer in trainer.decoder.layers]
    return [(total.sqrt() * norm).argsort(descending=True) for total, norm in zip(sums, norms)]


def narrow(trainer: Trainer, units: int, rows: int):
    """Keep the strongest `units` of every MLP in the trainer's decoder. Returns the decoder as it was, which is the teacher.

    rows: questions of every task that show which units are strong.
    """
    teacher = copy.deepcopy(trainer.decoder).requires_grad_(False)
    kept = [order[:units].sort().values for order in strongest_units(trainer, rows)]
    trainer.family.resize(units)
    with torch.no_grad():
        for layer, wide, some in zip(trainer.decoder.layers, teacher.layers, kept):
            for name in ("gate_proj", "up_proj"):
                getattr(layer.mlp, name).weight.copy_(getattr(wide.mlp, name).weight[some])
            layer.mlp.down_proj.weight.copy_(wide.mlp.down_proj.weight[:, some])
    return teacher


class Distiller:
    """Draws questions and cuts, and compares a trainer's decoder (the student) with a teacher, on one device."""

    def __init__(self, trainer: Trainer, teacher):
        self.trainer, self.teacher, self.g, self.device = trainer, teacher, trainer.g, trainer.device
        self._nothing = {}  # form of the media -> the features of grey pictures and of silence
        self.prompts = {task: [self._prompt(task, trainer.templates[task])] for task in TASKS}
        for task in TASKS:
            orders = () if task == FREE else layouts.VARIANTS["items" if kind_of(task) == "items" else "av_video"]
            for order in orders:
                other = template(task, trainer.family, order).to(self.device)
                if not torch.equal(other.ids, trainer.templates[task].ids):
                    self.prompts[task].append(self._prompt(task, other))
        self.longest = -(-max(len(p.template.ids) for some in self.prompts.values() for p in some) // 8) * 8

    def _prompt(self, task: str, t: Template) -> Prompt:
        size, spans = len(t.ids), t.spans
        found = [torch.stack([pairs([r], with_options(spans, x), size) for x in LETTERS]) for r in ROUTES[kind_of(task)]]
        shut = torch.zeros(size, dtype=torch.bool, device=self.device)
        masks = torch.stack([*(shut.index_fill(0, at, True) for at in spans.values()), ~shut])
        return Prompt(t, torch.stack(found), masks[masks.any(1)])

    def _draw(self, *shape) -> torch.Tensor:
        return torch.rand(*shape, generator=self.g, device=self.device)

    def _integers(self, most: int, count: int) -> torch.Tensor:
        return torch.randint(most, (count,), generator=self.g, device=self.device)

    def questions(self, rows: int):
        """New questions, about `rows` in all, as (prompts, batches, features of media)."""
        chosen = []
        for task in TASKS:
            first, *others = self.prompts[task]
            draw = self._draw(1).item()
            chosen.append(others[int(draw / OTHER_ORDER * len(others))] if others and draw < OTHER_ORDER else first)
        each = rows // len(TASKS)
        batches = [self.trainer.batch(task, each, p.template) for task, p in zip(TASKS, chosen)]
        features = self.trainer.all_media_features(batches)
        return chosen, batches, [self._hidden_or_swapped(b, *f) for b, f in zip(batches, features)]

    def _hidden_or_swapped(self, b, vision, audio):
        """The features with some sounds muted or another question's, and some pictures blanked, as `reliance.py` asks again."""
        rows, sounds, pictures = len(b.ids), b.sounds.sound.shape[1], b.pictures.shape.shape[1]
        key = b.pictures is b.sounds, pictures, sounds
        if key not in self._nothing:  # the encoders do not change
            frames, silences = (len(self.trainer.family.frame_times), (1, sounds)) if key[0] else (2 * pictures, (sounds, 1))
            grey = torch.full((1, frames, 3, SIZE, SIZE), 128 / 255, device=self.device)
            silence = torch.zeros(silences[0], 16000 * silences[1], device=self.device)
            self._nothing[key] = self.trainer.encoded(grey, silence)
        blank, mute = self._nothing[key]
        chance = self._draw(3, rows, 1, 1)
        audio = torch.where(chance[0] < SWAPPED, audio.roll(1, 0), audio)
        return torch.where(chance[1] < BLANKED, blank, vision), torch.where(chance[2] < MUTED, mute, audio)

    def cuts(self, prompt: Prompt, letter):
        """What each question of a batch is cut: pairs (B, S, S) bool, and in which layers, (B, layers) bool."""
        n, spans, layers = len(letter), prompt.spans, len(self.teacher.layers)
        pick = lambda: spans[self._integers(len(spans), n)]  # noqa: E731
        named = prompt.named[self._integers(len(prompt.named), n), letter]
        source = torch.where(self._draw(n, 1) < 0.33, self._draw(n, spans.shape[1]) < 0.6 * self._draw(n, 1), pick())
        discarded = self._draw(n) < DISCARDED
        target = pick() | discarded[:, None]  # what is discarded is hidden from all tokens, in all later layers
        drawn = (target[:, :, None] & source[:, None]).logical_and(~torch.eye(spans.shape[1], device=self.device).bool())
        cut = torch.where((self._draw(n) < NAMED)[:, None, None], named, drawn)
        start = self._integers(layers, n)
        width = torch.tensor(WIDTHS, device=self.device)[self._integers(len(WIDTHS), n)]
        start, stop = start - width // 2, start + width - width // 2
        stop = torch.where(discarded, layers, stop)
        at = torch.arange(layers, device=self.device)
        inside = (at >= start[:, None]) & (at < stop[:, None]) & (self._draw(n, 1) < CUT)
        return cut, inside

    def compared(self, rows: int) -> dict[str, torch.Tensor]:
        """Ask both decoders new questions, with the same cuts.

        states: the mean squared distance of the states behind every layer, relative to the teacher's. answer: the divergence of
        the answer's distribution, in nats. agree: the share of equal answers. off: the mean absolute difference of the right
        answer's probability.
        """
        trainer, longest = self.trainer, self.longest
        with torch.no_grad():
            prompts, batches, features = self.questions(rows)
            embeds = [trainer.embeds(b, *f) for b, f in zip(batches, features)]
            x = torch.cat([F.pad(e, (0, 0, 0, longest - e.shape[1])) for e in embeds])
            real = torch.cat([(torch.arange(longest, device=self.device) < e.shape[1]).expand(len(e), -1) for e in embeds])
            places = [F.pad(b.template.positions, (0, longest - b.ids.shape[1])) for b in batches]
            positions = torch.cat([p[:, None].expand(-1, len(b.ids), -1) for p, b in zip(places, batches)], 1)
            cuts = [self.cuts(p, b.letter) for p, b in zip(prompts, batches)]
            square = lambda c: F.pad(c, (0, longest - c.shape[-1], 0, longest - c.shape[-1]))  # noqa: E731
            shut, inside = torch.cat([square(c) for c, _ in cuts]), torch.cat([i for _, i in cuts])
            causal = torch.ones(longest, longest, dtype=torch.bool, device=self.device).tril()
            closed = causal & ~shut
            closed |= torch.eye(longest, dtype=torch.bool, device=self.device) & ~closed.any(-1, keepdim=True)
            rotary = self.teacher.rotary_emb(x, positions)
            masks = lambda number: torch.where(inside[:, number, None, None], closed, causal)[:, None]  # noqa: E731
            wanted = self._states(self.teacher, x, masks, rotary)
        found = self._states(trainer.decoder, x, masks, rotary)
        scale = [t.pow(2).sum(-1) for t in wanted]
        apart = [((s - t).pow(2).sum(-1) / z)[real].mean() for s, t, z in zip(found, wanted, scale)]
        row, theirs, mine, right = 0, [], [], []
        for b in batches:
            for k in range(b.target.shape[1]):
                at = slice(row, row + len(b.ids)), b.template.answer_at + k
                theirs.append(wanted[-1][at])
                mine.append(found[-1][at])
                right.append(b.target[:, k])
            row += len(b.ids)
        right = torch.cat(right)[:, None]
        theirs = trainer.head(self.teacher.norm(torch.cat(theirs))).float().log_softmax(-1)
        mine = trainer.head(trainer.decoder.norm(torch.cat(mine))).float().log_softmax(-1)
        with torch.no_grad():
            agree = (theirs.argmax(-1) == mine.argmax(-1)).float().mean()
            off = (theirs.gather(1, right).exp() - mine.gather(1, right).exp()).abs().mean()
        answer = F.kl_div(mine, theirs, log_target=True, reduction="batchmean")
        return {"states": torch.stack(apart).mean(), "answer": answer, "agree": agree, "off": off}

    @staticmethod
    def _states(decoder, x, masks, rotary) -> list[torch.Tensor]:
        found = []
        for number, layer in enumerate(decoder.layers):
            x = layer(x, attention_mask=masks(number), position_embeddings=rotary)
            found.append(x)
        return found
