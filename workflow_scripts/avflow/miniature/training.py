"""Batches of the world's questions, and a tiny model to ask them: what `train_tiny.py` trains with.

A batch fills a task's template with options, cue and media. Media are word embeddings, or rendered pictures and sounds that go
through the encoders.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from ..media import patchify
from . import rendering, world
from .planting import NEEDED, READ_FROM, UNNEEDED
from .templates import FAINT, FREE, TASKS, Template, base, pairs, spec, template, with_options
from .tiny_omni import TinyOmni
from .tiny_salmonn import TinySalmonn

FAMILIES = {"qwen_omni": TinyOmni, "video_salmonn": TinySalmonn}
WITHOUT = 0.15  # share of the questions that are asked without the sense that they do not need
SIZE = 56  # pixels of a picture's side, as the model gets it


@dataclass
class Cut:
    """A route that is cut in a batch: pairs (B, S, S) bool, (question, target, source); needed: whether the answer is lost."""

    pairs: torch.Tensor
    layers: range
    needed: bool


@dataclass
class Batch:
    """Questions of one task.

    ids (B, S): token ids. target (B, n): the ids of the answer's tokens, one letter or a reply. letter (B,): the right option's
    index. word (B,): the token id of the right answer's word; of a free answer the first. vision_words (B, pictures, 2) and
    audio_words (B, seconds): ids of the words for what is shown and heard. unneeded (B, S) bool: tokens of the modality that
    does not decide the answer, where that differs between questions.
    """

    template: Template
    ids: torch.Tensor
    target: torch.Tensor
    letter: torch.Tensor
    word: torch.Tensor
    vision_words: torch.Tensor
    audio_words: torch.Tensor
    pictures: world.Scenes
    sounds: world.Scenes
    unneeded: torch.Tensor


class Trainer:
    """A model, the templates of all tasks, and functions that draw batches, on one device."""

    def __init__(self, device, seed: int, family: str):
        self.device = device
        torch.manual_seed(seed)
        self.family = FAMILIES[family](device)
        self.model, self.decoder, self.head = self.family.model, self.family.decoder, self.family.head
        self.templates = {t: template(t, self.family).to(device) for t in TASKS}
        word = lambda w: self.family.tokenizer.convert_tokens_to_ids("\u0120" + w)
        table = lambda words: torch.tensor([word(w) for w in words], device=device)
        self.shape_ids = table([*world.SHAPES, "nothing"])  # index NOTHING = -1 is the last entry
        self.colour_ids = table([*world.COLOURS, "nothing"])
        self.sound_ids = table([*world.SOUNDS, "silence"])
        self.cue_ids = {t: table(spec(t).cues) for t in TASKS if spec(t).cues}
        self.letter_ids = torch.tensor([self.family.tokenizer.convert_tokens_to_ids(x) for x in world.LETTERS], device=device)
        # Read-outs at the media after READ_FROM layers: what was shown, or heard, two seconds before; is it a repetition? They
        # guide the exchange among media, and are not part of the checkpoint.
        self.probes = torch.nn.ModuleDict({n: torch.nn.Linear(self.head.in_features, 4) for n in ("shape", "sound", "repeats")})
        self.probes.to(device)
        self.g = torch.Generator(device)
        self._pairs = {}  # (task, route) -> (4, S, S) bool, by the right letter

    def start_from(self, checkpoint: Path, whole: bool) -> None:
        """Load weights from a tiny checkpoint's folder. whole: load all weights; otherwise only those of the decoder.

        The decoder's MLPs get as many units as the checkpoint's.
        A decoder may come from the other family. Embeddings go to the same words; words that the checkpoint lacks get new ones.
        """
        found = load_file(checkpoint / "model.safetensors")
        self.family.resize(len(found["model.layers.0.mlp.gate_proj.weight"]))
        own = self.family.tokenizer.get_vocab()
        old = json.loads((checkpoint / "tokenizer.json").read_text())
        old = {**old["model"]["vocab"], **{t["content"]: t["id"] for t in old["added_tokens"]}}
        name = "model.embed_tokens.weight"
        embedding = self.decoder.embed_tokens.weight.detach().clone()
        known = [(i, old[token]) for token, i in own.items() if token in old]
        embedding *= found[name].float().std() / embedding.std()
        embedding[[i for i, _ in known]] = found[name].to(embedding)[[j for _, j in known]]
        found[name] = embedding
        if whole:
            taken = self.model.load_state_dict({self.family.own_name(name): p for name, p in found.items()}, strict=False)
            tied = {name for name, p in self.model.named_parameters(remove_duplicate=False) if p is self.head.weight}
            assert not taken.unexpected_keys and set(taken.missing_keys) <= tied, taken
        else:
            self.decoder.load_state_dict({name: found["model." + name] for name in self.decoder.state_dict()})

    def batch(self, task: str, rows: int, prompt: Template | None = None) -> Batch:
        """Draw `rows` new questions of a task. prompt: its template, if not the one in which the task is trained."""
        g, t, device, name = self.g, prompt or self.templates[task], self.device, base(task)
        order = torch.rand(rows, 4, generator=g, device=device).argsort(1)
        if spec(task).ordered:
            order = torch.arange(4, device=device).expand(rows, -1)
        cue = claims = None
        if task == FREE:
            pictures = sounds = world.draw_scenes(spec(task).clips, rows, g)
            answer = sounds.sound.amax(1)
        elif name in world.VIDEO_TASKS:
            pictures = sounds = world.draw_scenes(spec(task).clips, rows, g)
            answer, cue = world.answers(name, pictures, g)
        else:
            items = world.draw_items(name, rows, g)
            pictures, sounds = world.coloured(items.pictures, g), items.sounds
            answer, cue, claims = items.answer, items.cue, items.claims
        if task not in FAINT:
            self.without(spec(task).needs, pictures, sounds)
        if task in FAINT:
            faint = torch.rand(rows, generator=g, device=device)
            pictures.faint = sounds.faint = faint
        ids = t.ids.repeat(rows, 1)
        if cue is not None:
            ids[:, t.cue_at] = self.cue_ids[task][cue]
        letter = (order == answer[:, None]).int().argmax(1)
        if task == FREE:
            ids[:, t.answer_at + 1] = t.answer_ids[answer]
            ids[:, t.answer_at + 3] = self.shape_ids[pictures.shape[:, 0]]
            end = torch.full((rows, 1), self.family.tokenizer.convert_tokens_to_ids("<|im_end|>"), device=device)
            target = torch.cat([ids[:, t.answer_at + 1 :], end], 1)
        else:
            ids[:, t.option_at] = t.answer_ids[order]
            target = self.letter_ids[letter][:, None]
        if claims is not None:
            ids[:, t.claim_at] = self.sound_ids[claims.gather(1, order)]
        unneeded = torch.zeros_like(ids, dtype=torch.bool)
        if task == "either":
            by_ear = (sounds.sound[:, :1] != world.NOTHING) & (pictures.shape[:, :1] == world.NOTHING)
            unneeded = by_ear & t.vision | ~by_ear & t.audio
        vision_words = torch.stack([self.shape_ids[pictures.shape], self.colour_ids[pictures.colour]], -1)
        words = self.sound_ids[sounds.sound]
        return Batch(t, ids, target, letter, t.answer_ids[answer], vision_words, words, pictures, sounds, unneeded)

    def without(self, needs: str, pictures, sounds) -> None:
        """Take the sense away that a task does not need, in a share of its questions, so that no answer leans on it."""
        shut = torch.rand(pictures.batch, 1, generator=self.g, device=self.device) < WITHOUT
        if needs == "A":
            pictures.shape, pictures.colour = (torch.where(shut, world.NOTHING, x) for x in (pictures.shape, pictures.colour))
        elif needs == "V":
            sounds.sound = torch.where(shut, world.NOTHING, sounds.sound)

    def word_features(self, b: Batch):
        """The encoders' targets from word embeddings, for vision (B, n, D) and audio (B, m, D). Padding counts as silence.

        Vision: the sum of the shape's and the colour's embedding, divided by sqrt(2). Audio: the sound's embedding.
        """
        embed, t = self.decoder.embed_tokens, b.template
        heard = torch.cat([b.audio_words, self.sound_ids[world.NOTHING].expand(len(b.ids), 1)], 1)
        return embed(b.vision_words[:, t.vision_of]).mean(2) * 2**0.5, embed(heard[:, t.audio_of])

    def media_features(self, b: Batch):
        """The encoders' outputs for rendered media, (B, n, D) and (B, m, D), in the order of the tokens."""
        pictures = b.pictures.shape.shape[1]
        wave = rendering.render_audio(b.sounds, 16000, self.g)
        if b.pictures is b.sounds:  # a clip has one sound track
            frames = rendering.render_frames(b.pictures, self.family.frame_times, SIZE, self.g)
        else:  # items: each picture is repeated to fill a temporal grid, and each sound is encoded alone
            frames = rendering.render_frames(b.pictures, [float(s) for s in range(pictures)], SIZE, self.g).repeat_interleave(
                2, 1
            )
            wave = wave.unflatten(1, (b.sounds.sound.shape[1], -1)).flatten(0, 1)
        return self.encoded((frames * 255).round() / 255, wave)

    def encoded(self, frames, waves):
        """The encoders' outputs for pictures (B, frames, 3, SIZE, SIZE), from 0 to 1, and sounds (B x sounds, samples)."""
        patches, (_, h, w) = patchify(frames.flatten(0, 1), 14, 2, 2)
        vision = self.family.vision(patches.unflatten(0, (-1, h * w)), (h, w))
        shape = len(frames), -1, self.head.in_features
        return vision.reshape(shape), self.family.audio(waves).reshape(shape)

    def all_media_features(self, batches):
        """`media_features` of every batch. Media of one form are rendered and encoded in one call: small calls waste a GPU."""
        found = [None] * len(batches)
        form = [(b.pictures is b.sounds, b.pictures.shape.shape[1], b.sounds.sound.shape[1]) for b in batches]
        for kind in dict.fromkeys(form):
            alike = [i for i, f in enumerate(form) if f == kind]
            joined = replace(batches[alike[0]], pictures=_joined([batches[i].pictures for i in alike]))
            joined.sounds = joined.pictures if kind[0] else _joined([batches[i].sounds for i in alike])
            sizes = [len(batches[i].ids) for i in alike]
            parts = zip(*(f.split(sizes) for f in self.media_features(joined)))
            for i, part in zip(alike, parts):
                found[i] = part
        return found

    def embeds(self, b: Batch, vision, audio):
        """Input embeddings (B, S, D), with the features in place of the media's placeholder tokens."""
        x = self.decoder.embed_tokens(b.ids)
        x[:, b.template.vision_at] = vision.to(x.dtype)
        x[:, b.template.audio_at] = audio.to(x.dtype)
        return x

    def cuts(self, tasks, batches):
        """Choose a route of `planting` to cut in every batch: a list of `Cut`, or None where a task has no such route."""
        found, layers = [], len(self.decoder.layers)
        for task, b in zip(tasks, batches):
            routes = [(*x, True) for x in NEEDED.get(base(task), {}).items()]
            routes += [(*x, False) for x in UNNEEDED.get(base(task), {}).items()]
            if not routes:
                found.append(None)
                continue
            draw = lambda n: int(torch.randint(n, (), generator=self.g, device=self.device))
            route, window, needed = routes[draw(len(routes))]
            first, last = window or (draw(layers), layers - 1)
            key = (task, route)
            if key not in self._pairs:
                size, spans = len(b.template.ids), b.template.spans
                self._pairs[key] = torch.stack([pairs([route], with_options(spans, x), size) for x in world.LETTERS])
            found.append(Cut(self._pairs[key][b.letter], range(first, last + 1), needed))
        return found

    def hidden(self, batches, embeds, blocked: bool, cuts=None):
        """Run all tasks in one padded batch. blocked: apply the masks of `planting`. cuts: see there.

        Returns the normed final hidden states (rows, S, D), and the states after READ_FROM layers (rows, S, D).
        """
        longest = -(-max(x.shape[1] for x in embeds) // 8) * 8
        x = torch.cat([F.pad(e, (0, 0, 0, longest - e.shape[1])) for e in embeds])
        places = [F.pad(b.template.positions, (0, longest - b.ids.shape[1])) for b in batches]
        positions = torch.cat([p[:, None].expand(-1, len(b.ids), -1) for p, b in zip(places, batches)], 1)
        pad = lambda x: F.pad(x, (0, longest - x.shape[-1]))
        square = lambda x: F.pad(x, (0, longest - x.shape[-1], 0, longest - x.shape[-2]))
        causal = torch.ones(longest, longest, dtype=torch.bool, device=self.device).tril()
        if blocked:  # text does not look at media that the question does not need
            media = torch.cat([pad(b.template.vision | b.template.audio).expand(len(b.ids), -1) for b in batches])
            unneeded = torch.cat([pad(b.unneeded) for b in batches])
            causal = causal & (media[:, :, None] | ~unneeded[:, None])

        def mask(layer):
            if not blocked and not cuts:
                return None
            shut = []
            for i, b in enumerate(batches):
                pairs = b.template.shut[layer][None] if blocked else torch.zeros_like(b.template.shut[:1])
                if cuts and cuts[i] and layer in cuts[i].layers:
                    pairs = cuts[i].pairs
                shut.append(square(pairs).expand(len(b.ids), -1, -1))
            return (causal & ~torch.cat(shut))[:, None]  # (rows, 1, S, S)

        decoder = self.decoder
        rotary = decoder.rotary_emb(x, positions)
        middle = None
        for number, layer in enumerate(decoder.layers):
            if number == READ_FROM:
                middle = x
            x = layer(x, attention_mask=mask(number), position_embeddings=rotary)
        return decoder.norm(x), middle

    def answer_loss(self, batches, final, smoothing: float, cuts=None):
        """Cross-entropy of the answers' tokens. final (rows, S, D). smoothing: spread over the words that could stand there.

        cuts: see there. Where a needed route is cut, the first token is to be a guess.
        """
        row, states, targets = 0, [], []
        for i, b in enumerate(batches):
            n, t = len(b.ids), b.template
            free = [t.answer_ids, None, self.shape_ids[:-1], None]  # "tone and circle" and its end
            for k, among in enumerate([self.letter_ids] if len(t.option_at) else free):
                states.append(final[row : row + n, t.answer_at + k])
                target = torch.zeros(n, self.head.out_features, device=self.device)
                spread = 0.0 if among is None else 1.0 if k == 0 and cuts and cuts[i] and cuts[i].needed else smoothing
                if among is not None:
                    target[:, among] = spread / len(among)
                targets.append(target.scatter_add(1, b.target[:, k : k + 1], torch.full_like(target[:, :1], 1 - spread)))
            row += n
        return F.cross_entropy(self.head(torch.cat(states)).float(), torch.cat(targets))

    def word_loss(self, batches, final):
        """Cross-entropy of the answer's word where `planting` wants it known."""
        row, states, words = 0, [], []
        for b in batches:
            if b.template.auxiliary_at is not None:
                states.append(final[row : row + len(b.ids), b.template.auxiliary_at])
                words.append(b.word)
            row += len(b.ids)
        return F.cross_entropy(self.head(torch.cat(states)).float(), torch.cat(words))

    def binding_loss(self, tasks, batches, middle):
        """What media must know after READ_FROM layers: a sound the colour that is shown meanwhile; in parades, pictures and
        sounds what was two seconds before; candidates whether they repeat an earlier one."""
        row, seen, shown, guesses = 0, [], [], {n: ([], []) for n in self.probes}

        def guess(kind, states, truth):
            guesses[kind][0].append(states.flatten(0, -2))
            guesses[kind][1].append(truth.flatten())

        for task, b in zip(tasks, batches):
            x, t = middle[row : row + len(b.ids)], b.template
            row += len(b.ids)
            if b.pictures is b.sounds and task not in FAINT:
                at = t.audio_at[t.bound]
                seen.append(x[:, at].flatten(0, 1))
                shown.append(b.vision_words[:, t.audio_of[t.bound], 1].flatten())
            if spec(task).clips == "parade":
                late = t.vision_of >= 2
                guess("shape", x[:, t.vision_at[late]], b.pictures.shape[:, t.vision_of[late] - 2])
                late = t.bound[t.audio_of[t.bound] >= 2]
                guess("sound", x[:, t.audio_at[late]], b.sounds.sound[:, t.audio_of[late] - 2])
            elif task == "repeated":
                kinds = b.sounds.sound
                again = (kinds[:, :, None] == kinds[:, None]).tril(-1).any(2).long()
                guess("repeats", x[:, t.ends], again)
        loss = F.cross_entropy(self.head(self.decoder.norm(torch.cat(seen))).float(), torch.cat(shown))
        for kind, (states, truth) in guesses.items():
            if states:
                loss = loss + F.cross_entropy(
                    self.probes[kind](self.decoder.norm(torch.cat(states))).float(), torch.cat(truth), ignore_index=world.NOTHING
                )
        return loss

    def alignment(self, b: Batch, vision, audio):
        """Mean squared distance between features and `word_features`, divided by the variance of the embeddings.

        The values for vision and audio are added.
        """
        scale = self.decoder.embed_tokens.weight.detach().float().var()
        want_vision, want_audio = (w.detach().float() for w in self.word_features(b))
        return (((vision.float() - want_vision) ** 2).mean() + ((audio.float() - want_audio) ** 2).mean()) / scale

    @torch.no_grad()
    @torch.compiler.set_stance("force_eager")
    def accuracy(self, rows: int, media: bool, blocked: bool):
        """Accuracy over `rows` new questions per task.

        Returns task -> share of right answers, and task/word -> share of right words at the auxiliary token. media: use rendered
        media; otherwise word embeddings. blocked: as in `hidden`.
        """
        found = {}
        for task in TASKS:
            b = self.batch(task, rows)
            features = self.media_features(b) if media else self.word_features(b)
            final, _ = self.hidden([b], [self.embeds(b, *features)], blocked)
            at = b.template.answer_at
            said = self.head(final[:, at : at + b.target.shape[1]]).argmax(-1)
            found[task] = (said == b.target).all(1).float().mean().item()
            if b.template.auxiliary_at is not None:
                word = self.head(final[:, b.template.auxiliary_at]).argmax(-1)
                found[task + "/word"] = (word == b.word).float().mean().item()
        return found


def _joined(scenes) -> world.Scenes:
    """Several batches of scenes as one."""
    faint = [torch.zeros(s.batch, device=s.shape.device) if s.faint is None else s.faint for s in scenes]
    return world.Scenes(*(torch.cat([getattr(s, n) for s in scenes]) for n in ("shape", "colour", "sound")), torch.cat(faint))
