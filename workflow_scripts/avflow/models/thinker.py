"""Load the Thinker of an Omni checkpoint, whether it holds the whole model or only the Thinker."""

from pathlib import Path

from transformers.utils import logging

from ..errors import InputError
from .checkpoint import read_config, shards


def load_thinker(folder: Path, dtype, family: str, model_types, network, settings):
    """The Thinker for inference, on the CPU. Tensors of a talker are not read into memory.

    family: as messages call it. model_types: those of config.json that belong to it. network, settings: the classes of
    transformers for the Thinker and for its config. Raises InputError if a file or a tensor is missing or of another shape.
    """
    config = read_config(folder, family)
    kind = config.get("model_type")
    if kind not in model_types:
        raise InputError(f"{folder}: config.json has model_type {kind!r}; give the folder of a {family} checkpoint")
    shards(folder)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        model, info = network.from_pretrained(
            str(folder),
            config=settings.from_dict(config.get("thinker_config", config)),
            dtype=dtype,
            attn_implementation="sdpa",
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # the error below names them
            local_files_only=True,
        )
    except RuntimeError as error:
        if "conversion" not in str(error):
            raise
        what = "matrices of experts are missing or of unequal shapes"  # so transformers cannot stack them
        raise InputError(f"{folder}: {what}; download the checkpoint again") from None
    missing = sorted(info["missing_keys"])
    if missing == ["lm_head.weight"] and _tied(config):
        model.lm_head.weight = model.get_decoder().get_input_embeddings().weight
    elif missing:
        raise InputError(f"{folder}: tensor {missing[0]} is missing ({len(missing)} in all); download the checkpoint again")
    if info["mismatched_keys"]:
        name = sorted(info["mismatched_keys"])[0][0]
        raise InputError(f"{folder}: tensor {name} does not fit config.json; take both from the same checkpoint")
    return model.eval().requires_grad_(False)


def _tied(config: dict) -> bool:
    """Whether a checkpoint without a head shares the embeddings' weights: by the innermost `tie_word_embeddings`, else true.

    True was the default of transformers when the checkpoints were released, and a default is not always written down.
    """
    thinker = config.get("thinker_config", config)
    said = [part["tie_word_embeddings"] for part in (thinker.get("text_config", {}), thinker) if "tie_word_embeddings" in part]
    return bool(said[0]) if said else True
