"""Batches of the world's questions, and a tiny model to ask them: what `train_tiny.py` trains with.

The pipeline's own code builds a task's prompt once. Building it again with changes shows which tokens vary. A batch then fills in
options, cue and media. Media are word embeddings, or rendered pictures and sounds that go through the encoders.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from ..media import patchify
from ..models import build
from ..questions import benchmark_rows
from . import datasets, world
from .tiny_omni import TinyOmni
from .tiny_salmonn import TinySalmonn

FAMILIES = {"qwen_omni": TinyOmni, "video_salmonn": TinySalmonn}
READ_FROM = 4  # with the masks of `train_tiny.py`, text attends to media from this layer on
SIZE = 56  # pixels of a picture's side, as the model gets it
TASKS = [*world.VIDEO_TASKS, *world.ITEM_TASKS]


@dataclass
class Template:
    """The prompt of a task, with everything that varies left open. Indices are positions in its (S,) token ids."""

    ids: torch.Tensor
    positions: torch.Tensor
    option_at: torch.Tensor  # (4,) the word that distinguishes each option
    cue_at: int | None  # the colour word in the question, or None
    vision_at: torch.Tensor  # (n,) the vision tokens
    vision_of: torch.Tensor  # (n,) what each one shows: the number of the clip's second, or of the picture
    audio_at: torch.Tensor  # (m,) the audio tokens
    audio_of: torch.Tensor  # (m,) what each one holds: the number of the clip's second, or of the sound; -1 is padding
    bound: torch.Tensor  # indices into audio_at: about five audio tokens per second, padding excluded
    auxiliary_at: int
    answer_ids: torch.Tensor  # (4,) token ids of the task's answer words
    vision: torch.Tensor  # (S,) bool, true for vision tokens
    audio: torch.Tensor  # (S,) bool, true for audio tokens

    def to(self, device):
        return Template(**{k: v.to(device) if torch.is_tensor(v) else v for k, v in vars(self).items()})


def shares(count: int, among: int) -> torch.Tensor:
    """Divide `count` tokens into `among` equal runs. Returns each token's run, (count,)."""
    return torch.arange(count) * among // max(count, 1)


def template(task: str, family) -> Template:
    """Build one task's prompt with the pipeline's own code. Build it again with changes to find the tokens that vary."""
    made, layout = family.tokenizer, family.layout
    item = {"image": dict(grid=torch.tensor([1, 4, 4])), "audio": dict(audio=0, samples=torch.tensor(16000))}

    def prompt(order, cue):
        if task in world.VIDEO_TASKS:
            row = datasets.video_row(task, 0, "c", order, 0, cue)
            question = benchmark_rows.video_question(row, datasets.VIDEO, *datasets.INSTRUCTIONS["av_video"])
        else:
            row = datasets.items_row(task, 0, order, 0)
            question = benchmark_rows.items_question(
                row, datasets.ITEMS, *datasets.INSTRUCTIONS["items"], layout=datasets.TRAINED
            )
        media = {m.id: layout.of(m.role, m.index, m.kind, item.get(m.kind, family.clip)) for m in question.media}
        return build(question, made, world.SYSTEM_PROMPT, media), question

    first, question = prompt([0, 1, 2, 3], 0)
    turned, recoloured = prompt([1, 2, 3, 0], 0)[0], prompt([0, 1, 2, 3], 1)[0]
    option_at = (first.ids != turned.ids).nonzero()[:, 0]
    cue_at = (first.ids != recoloured.ids).nonzero()[:, 0]
    placeholder = {kind: made.convert_tokens_to_ids(token) for kind, token in family.tokens.items()}
    vision = (first.ids == placeholder["video"]) | (first.ids == placeholder["image"])
    audio = first.ids == placeholder["audio"]
    counts = {kind: sum(m.kind == kind for m in question.media) for kind in ("image", "audio")}
    heard = audio.clone()
    if "audio_padding" in first.spans:
        heard[first.spans["audio_padding"]] = False
    seconds = counts["audio"] or world.SECONDS
    audio_of = torch.full((len(audio),), world.NOTHING)
    audio_of[heard] = shares(int(heard.sum()), seconds)
    auxiliary = first.spans["reference" if question.setting == "items" else "question_text"]
    assert len(option_at) == 4 and len(cue_at) == ("{colour}" in world.VIDEO_TASKS.get(task, world.ITEM_TASKS.get(task)).question)
    return Template(
        ids=first.ids,
        positions=first.positions,
        option_at=option_at,
        cue_at=int(cue_at[0]) if len(cue_at) else None,
        vision_at=vision.nonzero()[:, 0],
        vision_of=shares(int(vision.sum()), counts["image"] or world.SECONDS),
        audio_at=audio.nonzero()[:, 0],
        audio_of=audio_of[audio],
        bound=heard[audio].nonzero()[:: max(1, int(heard.sum()) // seconds // 5), 0],
        auxiliary_at=int(auxiliary[-1]),
        answer_ids=first.ids[option_at],
        vision=vision,
        audio=audio,
    )


@dataclass
class Batch:
    """Questions of one task.

    ids (B, S): token ids. letter (B,): the right option's index. word (B,): the token id of the right answer's word.
    vision_words (B, pictures, 2) and audio_words (B, seconds): token ids of the words for what is shown and heard.
    unneeded (B, S) bool: tokens of the modality that does not decide the answer.
    """

    template: Template
    ids: torch.Tensor
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
        self.letter_ids = torch.tensor([self.family.tokenizer.convert_tokens_to_ids(x) for x in world.LETTERS], device=device)
        self.g = torch.Generator(device)

    def start_from(self, checkpoint: Path, whole: bool) -> None:
        """Load weights from a tiny checkpoint's folder. whole: load all weights; otherwise only those of the decoder.

        A decoder may come from the other family.
        """
        found = load_file(checkpoint / "model.safetensors")
        if whole:
            taken = self.model.load_state_dict({self.family.own_name(name): p for name, p in found.items()}, strict=False)
            tied = {name for name, p in self.model.named_parameters(remove_duplicate=False) if p is self.head.weight}
            assert not taken.unexpected_keys and set(taken.missing_keys) <= tied, taken
        else:
            own = self.decoder.state_dict()
            self.decoder.load_state_dict({name: found["model." + name] for name in own})

    def batch(self, task: str, rows: int) -> Batch:
        """Draw `rows` new questions of a task."""
        g, t, device = self.g, self.templates[task], self.device
        order = torch.rand(rows, 4, generator=g, device=device).argsort(1)
        cue = None
        if task in world.VIDEO_TASKS:
            pictures = sounds = world.draw_scenes(world.VIDEO_TASKS[task].clips, rows, g)
            answer, cue = world.answers(task, pictures, g)
        else:
            kinds, answer = datasets.draw_items(rows, g)
            picked = kinds.gather(1, answer[:, None])
            shape, sound = (picked, kinds) if task == "image-to-audio" else (kinds, picked)
            colour = torch.randint(0, 4, shape.shape, generator=g, device=device)
            pictures, sounds = world.Scenes(shape, colour, shape), world.Scenes(sound, sound, sound)
        ids = t.ids.repeat(rows, 1)
        ids[:, t.option_at] = t.answer_ids[order]
        if cue is not None:
            ids[:, t.cue_at] = self.colour_ids[cue]
        letter = (order == answer[:, None]).int().argmax(1)
        vision_words = torch.stack([self.shape_ids[pictures.shape], self.colour_ids[pictures.colour]], -1)
        by_ear = torch.full((rows, 1), task == "hear", device=device)
        by_eye = torch.full((rows, 1), task == "see", device=device)
        if task == "either":
            by_ear = (sounds.sound[:, :1] != world.NOTHING) & (pictures.shape[:, :1] == world.NOTHING)
            by_eye = ~by_ear
        unneeded = by_ear & t.vision | by_eye & t.audio
        words = self.sound_ids[sounds.sound]
        return Batch(t, ids, letter, t.answer_ids[answer], vision_words, words, pictures, sounds, unneeded)

    def word_features(self, b: Batch):
        """The encoders' targets from word embeddings, for vision (B, n, D) and audio (B, m, D). Padding counts as silence.

        Vision: the sum of the shape's and the colour's embedding, divided by sqrt(2). Audio: the sound's embedding.
        """
        embed, t = self.decoder.embed_tokens, b.template
        heard = torch.cat([b.audio_words, self.sound_ids[world.NOTHING].expand(len(b.ids), 1)], 1)
        return embed(b.vision_words[:, t.vision_of]).mean(2) * 2**0.5, embed(heard[:, t.audio_of])

    def media_features(self, b: Batch):
        """The encoders' outputs for rendered media, (B, n, D) and (B, m, D), in the order of the tokens."""
        rows, pictures = b.pictures.shape.shape
        wave = world.render_audio(b.sounds, 16000, self.g)
        if b.pictures is b.sounds:  # a clip has one sound track
            frames = world.render_frames(b.pictures, self.family.frame_times, SIZE, self.g)
        else:  # items: each picture is repeated to fill a temporal grid, and each sound is encoded alone
            frames = world.render_frames(b.pictures, [float(s) for s in range(pictures)], SIZE, self.g).repeat_interleave(2, 1)
            wave = wave.unflatten(1, (b.sounds.sound.shape[1], -1)).flatten(0, 1)
        frames = (frames * 255).round() / 255
        patches, (_, h, w) = patchify(frames.flatten(0, 1), 14, 2, 2)
        vision = self.family.vision(patches.unflatten(0, (-1, h * w)), (h, w))
        width = self.head.in_features
        return vision.reshape(rows, -1, width), self.family.audio(wave).reshape(rows, -1, width)

    def all_media_features(self, batches):
        """`media_features` of every batch. All clips are rendered and encoded in one call, because small calls waste a GPU."""
        clips = [b for b in batches if b.pictures is b.sounds]
        joined = {n: torch.cat([getattr(b.pictures, n) for b in clips]) for n in ("shape", "colour", "sound")}
        scenes = world.Scenes(**joined)
        features = self.media_features(replace(clips[0], pictures=scenes, sounds=scenes))
        parts = zip(*(f.split([len(b.ids) for b in clips]) for f in features))
        return [next(parts) if b.pictures is b.sounds else self.media_features(b) for b in batches]

    def embeds(self, b: Batch, vision, audio):
        """Input embeddings (B, S, D), with the features in place of the media's placeholder tokens."""
        x = self.decoder.embed_tokens(b.ids)
        x[:, b.template.vision_at] = vision.to(x.dtype)
        x[:, b.template.audio_at] = audio.to(x.dtype)
        return x

    def hidden(self, batches, embeds, blocked: bool):
        """Run all tasks in one padded batch. blocked: apply the masks that `train_tiny.py` describes.

        Returns three tensors: the final hidden states at every row's last token (rows, D) and at its auxiliary token (rows, D),
        and the states of all clips' audio tokens after READ_FROM layers (clips, m, D), or None without clips.
        """
        longest = -(-max(x.shape[1] for x in embeds) // 8) * 8
        x = torch.cat([F.pad(e, (0, 0, 0, longest - e.shape[1])) for e in embeds])
        places = [F.pad(b.template.positions, (0, longest - b.ids.shape[1])) for b in batches]
        positions = torch.cat([p[:, None].expand(-1, len(b.ids), -1) for p, b in zip(places, batches)], 1)
        early = late = None
        if blocked:
            pad = lambda x: F.pad(x, (0, longest - x.shape[-1]))  # noqa: E731
            media = torch.cat([pad(b.template.vision | b.template.audio).expand(len(b.ids), -1) for b in batches])
            unneeded = torch.cat([pad(b.unneeded) for b in batches])
            causal = torch.ones(longest, longest, dtype=torch.bool, device=self.device).tril()
            early = (causal & (media[:, :, None] | ~media[:, None]))[:, None]  # (rows, 1, S, S)
            late = (causal & (media[:, :, None] | ~unneeded[:, None]))[:, None]
        decoder = self.decoder
        rotary = decoder.rotary_emb(x, positions)
        for number, layer in enumerate(decoder.layers):
            if number == READ_FROM:
                clips = sum(len(b.ids) for b in batches if b.pictures is b.sounds)  # clips come first, at equal positions
                middle = x[:clips, batches[0].template.audio_at] if clips else None
            x = layer(x, attention_mask=early if number < READ_FROM else late, position_embeddings=rotary)
        rows = torch.arange(len(x), device=self.device)
        last = torch.cat([torch.full((len(b.ids),), b.ids.shape[1] - 1, device=self.device) for b in batches])
        auxiliary = torch.cat([torch.full((len(b.ids),), b.template.auxiliary_at, device=self.device) for b in batches])
        return decoder.norm(x[rows, last]), decoder.norm(x[rows, auxiliary]), middle

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

        Returns task -> share of right letters, and task/word -> share of right words at the auxiliary token. media: use rendered
        media; otherwise word embeddings. blocked: as in `hidden`.
        """
        found = {}
        for task in TASKS:
            b = self.batch(task, rows)
            features = self.media_features(b) if media else self.word_features(b)
            last, auxiliary, _ = self.hidden([b], [self.embeds(b, *features)], blocked)
            found[task] = (self.head(last).argmax(-1) == self.letter_ids[b.letter]).float().mean().item()
            found[task + "/word"] = (self.head(auxiliary).argmax(-1) == b.word).float().mean().item()
        return found
