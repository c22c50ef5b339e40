"""Reading the shards that `preprocess_media` and `extract_features` wrote."""

from safetensors import safe_open

from .errors import InputError
from .questions import Question


class FeatureStore:
    """Tensors of one shard by media id, read when they are asked for."""

    def __init__(self, path, framework: str = "pt"):
        """framework: "pt" gives torch tensors, "np" numpy arrays."""
        self.path = path
        self.file = safe_open(str(path), framework)
        self.names = {}
        for key in self.file.keys():  # noqa: SIM118 (safe_open is no dict)
            media_id, name = key.rsplit("/", 1)
            self.names.setdefault(media_id, []).append(name)

    def has(self, media_id: str, name: str) -> bool:
        return name in self.names.get(media_id, ())

    def get(self, media_id: str, name: str):
        """One tensor of one medium."""
        return self.file.get_tensor(f"{media_id}/{name}")

    def of(self, question: Question) -> dict[str, dict]:
        """media_id -> {name: tensor} for every medium of a question."""
        missing = [m.media_id for m in question.media if m.media_id not in self.names]
        if missing:
            raise InputError(f"{self.path}: nothing of {missing[0]}; delete the file, it belongs to other questions")
        return {m.media_id: {n: self.get(m.media_id, n) for n in self.names[m.media_id]} for m in question.media}
