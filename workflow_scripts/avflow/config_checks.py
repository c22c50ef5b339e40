"""What a configuration must be: the schema, names that are defined, and settings that go together.

Every check raises InputError with one line: the key, its value and what would be right. Nothing heavy is loaded: Snakemake
checks the configuration at every start.
"""

import difflib
import functools
import re
from collections.abc import Iterable

from . import places
from .errors import InputError

RENAMED = {("tables", "published"): "shipped"}  # (key, value) of earlier versions -> the value's new name
ORDERS = {  # setting -> orders of a prompt's parts; those of questions/layouts.py, which planning does not load
    "av_video": ("default", "question_first"),
    "items": ("default", "original", "eq3", "reference_first", "reference_last", "question_first"),
}
LABEL = "(?:[A-Za-z0-9]|(?i:yes|no|true|false))"  # of an option
PARTS = rf"option_{LABEL}(?:\.letter)?|reply_token_\d+|audio_padding"
SPANS = {  # setting -> its spans by name, and the pattern of those with a number; those of models/spans.py
    "av_video": (
        ("system", "delimiter", "video", "audio", "instruction", "question_text", "options", "correct_option")
        + ("incorrect_options", "tail", "last", "reply"),
        re.compile(rf"{PARTS}|frame_\d+|audio_segment_\d+"),
    ),
    "items": (
        ("system", "delimiter", "candidates", "reference", "instruction", "question_text", "options", "correct_option")
        + ("incorrect_options", "correct_candidate", "incorrect_candidates", "tail", "last", "reply"),
        re.compile(rf"{PARTS}|candidate_\d+"),
    ),
}
ROUTE = re.compile(r"([A-Za-z0-9_.]+)<?->([A-Za-z0-9_.]+)")  # those between the parts of one modality name no span
SINKS = "_sinks"  # ends the name of a source that holds the sinks of a span
ODD = "an even number; write an odd one, so that a window has a layer in its middle"
KINDS = {"integer": "a whole number", "number": "a number", "string": "a text", "boolean": "true or false"}
KINDS |= {"array": "a list", "object": "a mapping of keys to values"}  # types of the schema in words
WITH_FPS = ("frames", "rate", "total_pixels", "max_tokens")  # settings that mean nothing to spread frames
WITH_BUDGET = ("min_fps", "audio_per_second", "audio_seconds")  # likewise without max_tokens
LIMITS = (("min_frames", "max_frames"), ("min_pixels", "max_pixels"), ("min_fps", "fps"))  # neither may be above the other


def check_names(where: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raise InputError, which names the key `where`, if one of its names is not known."""
    for name in names:
        if name not in known:
            raise InputError(f"config.yaml: {where} names {name!r}, which is not defined; defined: {', '.join(known)}")


def check_schema(config: dict) -> None:
    """Check a configuration against schemas/config.schema.yaml and fill in defaults. Raises InputError that names one mistake."""
    from jsonschema.exceptions import best_match

    for (key, value), new in RENAMED.items():
        if config.get(key) == value:
            raise InputError(f"config.yaml: {key} is {value!r}, which is now called {new!r}; write {key}: {new}")
    if error := best_match(_validator().iter_errors(config)):
        raise InputError(f"config.yaml: {_mistake(error)}")


def _mistake(error) -> str:
    """What is wrong with a key, and what it means: "datasets/mine/shards is 'one', not a whole number; Parts that .."."""
    where, value, rule = "/".join(map(str, error.absolute_path)), error.instance, error.validator_value
    about, known = error.schema.get("description", ""), error.schema.get("properties", {})
    if "propertyNames" in error.absolute_schema_path:  # the value is a key
        known = (
            f"is unknown; known: {', '.join(rule)}" if error.validator == "enum" else "has a name that cannot be used; rename it"
        )
        return f"{where}/{value} {known}"
    if error.validator == "additionalProperties" and rule is False:
        unknown = next(key for key in value if key not in known)
        return f"{where}/{unknown} is unknown; known: {', '.join(known)}".lstrip("/")
    if error.validator in ("required", "dependentRequired"):
        lists = [rule] if error.validator == "required" else [keys for given, keys in rule.items() if given in value]
        key = next(key for keys in lists for key in keys if key not in value)
        about = (known or _known_below(where.split("/")[0])).get(key, {}).get("description", "add it")
        return f"{where}/{key} is missing; {' '.join(about.split())}".lstrip("/")
    if error.validator == "oneOf" and all("required" in one for one in rule):
        keys = [key for one in rule for key in one["required"]]
        found = " and ".join(key for key in keys if key in value)
        return f"{where} has {found or 'none of ' + ', '.join(keys)}; write exactly one of {', '.join(keys)}"
    told = {
        "type": f"not {KINDS.get(rule, rule)}" if isinstance(rule, str) else f"not one of {rule}",
        "enum": f"which is unknown; known: {', '.join(map(str, rule))}" if error.validator == "enum" else "",
        "const": f"which must be {_written(rule)}",
        "minimum": f"below {rule}",
        "maximum": f"above {rule}",
        "exclusiveMinimum": f"which must be above {rule}",
        "exclusiveMaximum": f"which must be below {rule}",
        "minItems": "too short a list" if value else "an empty list",
        "maxItems": "too long a list",
        "minProperties": "which names nothing",
        "uniqueItems": "which names something twice",
        "not": ODD if rule == {"multipleOf": 2} else "",
    }.get(error.validator) or "which cannot be used"
    return f"{where} is {_written(value)}, {told}" + (f"; {' '.join(about.split())}" if about else "")


def _known_below(part: str) -> dict:
    """The keys of an entry of a part of config.yaml, such as "datasets", in the schema."""
    return _validator().schema["properties"].get(part, {}).get("additionalProperties", {}).get("properties", {})


def _written(value) -> str:
    """A value as YAML writes it, cut short."""
    text = {"None": "empty", "True": "true", "False": "false"}.get(repr(value), repr(value))
    return text if len(text) <= 80 else f"{text[:77]}..."


@functools.cache
def _validator():
    """The schema's validator, which also fills in defaults."""
    import jsonschema
    import yaml

    schema = yaml.safe_load((places.REPOSITORY / "schemas/config.schema.yaml").read_text(encoding="utf-8"))
    properties = jsonschema.Draft202012Validator.VALIDATORS["properties"]

    def with_defaults(validator, known, instance, within):
        for name, about in known.items():
            if "default" in about and isinstance(instance, dict):
                instance.setdefault(name, about["default"])
        yield from properties(validator, known, instance, within)

    return jsonschema.validators.extend(jsonschema.Draft202012Validator, {"properties": with_defaults})(schema)


def check_order(where: str, dataset: str, setting: str, orders: Iterable[str]) -> None:
    """Raise InputError, which names the key `where`, if prompts of a dataset's setting have no such order of their parts."""
    for order in orders:
        if order not in ORDERS[setting]:
            raise InputError(
                f"config.yaml: {where} names {order!r} for {dataset}, but setting {setting} has no such order; it has"
                f" {', '.join(ORDERS[setting])}"
            )


def check_spans(where: str, setting: str, unions: dict[str, Iterable[str]], known: Iterable[str] = ()) -> None:
    """Raise InputError, which names the key `where`, if a union has a member that is neither a span nor an earlier union.

    known: names of unions that are earlier than all of these.
    """
    earlier = list(known)
    for name, members in unions.items():
        for member in members:
            _check_span(f"{where}/{name} names {member!r}", member, setting, earlier)
        earlier.append(name)


def check_routes(where: str, routes: Iterable[str], setting: str, unions: Iterable[str]) -> None:
    """Raise InputError, which names the key `where`, if a route names a span that no question of the setting has.

    unions: the names of the setting's own groups of spans.
    """
    for route in routes:
        found = ROUTE.fullmatch(route.replace(" ", ""))
        for name in found.groups() if found else ():
            span = name.removesuffix(SINKS) if name == found[1] else name
            _check_span(f"{where} has the route {route}, which names {span!r}", span, setting, unions)


def _check_span(told: str, name: str, setting: str, unions: Iterable[str]) -> None:
    names, numbered = SPANS[setting]
    known = [*names, *unions]
    if name in known or numbered.fullmatch(name):
        return
    close = difflib.get_close_matches(name, known, 1)
    meant = f" (did you mean {close[0]!r}?)" if close else ""
    raise InputError(f"config.yaml: {told}, but setting {setting} has no such span{meant}; it has {', '.join(known)}")


# A sampling takes frames at a rate (fps), at exact times or as the official utilities do, or spread (interval).


def check_sampling(name: str, how: dict) -> None:
    """Raise InputError if settings of the sampling `name` do not go together. how: it, as the schema accepts it."""
    where = f"config.yaml: sampling/{name}"
    if ("fps" in how) == ("interval" in how):
        told = f"has fps ({how['fps']}) and interval ({how['interval']}); remove one" if "fps" in how else "has neither; add one"
        raise InputError(f"{where} takes frames at a rate, fps, or spread, one per interval; it {told}")
    spread, official = "interval" in how, how.get("frames") == "official"
    misplaced = {key: "fps, not with interval" for key in WITH_FPS if spread}
    misplaced |= {"rate": "frames: official"} if not spread and not official else {}
    misplaced |= {"min_frames": "interval or frames: official"} if not spread and not official else {}
    misplaced |= {key: "max_tokens" for key in WITH_BUDGET if "max_tokens" not in how}
    for key, partner in misplaced.items():
        if key in how:
            raise InputError(f"{where}/{key} is {how[key]!r}, which has a meaning only with {partner}; remove it")
    needed = {"min_frames": "the fewest frames of a video"} if spread or official else {}
    needed |= {"audio_per_second": "tokens of a second of sound (25 for Qwen2.5-Omni)"} if "max_tokens" in how else {}
    for key, meaning in needed.items():
        if key not in how:
            cause = "max_tokens" if key == "audio_per_second" else "interval" if spread else "frames: official"
            raise InputError(f"{where} has {cause}, which needs {key}, {meaning}; add it")
    for low, high in LIMITS:
        if low in how and high in how and how[low] > how[high]:
            raise InputError(f"{where}/{low} is {how[low]}, above {high} ({how[high]}); lower {low} or raise {high}")
