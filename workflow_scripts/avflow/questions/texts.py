"""Texts that cannot be put into a prompt as they are.

A model's tokenizer turns a special token inside a text into the token itself: `<|im_end|>` ends the user's turn, and `<|AUDIO|>`
takes the place of a sound. Tokenizers of the families hold tokens of the form `<|..|>` and those in `SPECIAL`. `prompt.build`
looks for all others that the model at hand has.
"""

import re

from ..errors import Unusable

SPECIAL = re.compile(r"<\|[^<>|]*\|>|</?(?:tool_call|tool_response|think)>")
INVISIBLE = "".join(map(chr, (*range(9, 14), 32, 0xA0, 0x200B, 0x200C, 0x200D, 0x2060, 0x3000, 0xFEFF)))  # blanks, and no width
UNWRITABLE = re.compile("[\0\ud800-\udfff]")  # NUL, and halves of surrogate pairs, which no file in UTF-8 can hold


def check_text(value, where: str, blank: bool = False) -> str:
    """The text itself. where: names the question and what the text is. blank: whether it may be empty.

    Raises Unusable as bad_text for what is not a text, is blank or cannot be written, and as special_tokens.
    """
    if not isinstance(value, str):
        raise Unusable("bad_text", f"{where} is {shown(value)}, not a text; write a text in quotation marks")
    if not blank and not value.strip(INVISIBLE):
        raise Unusable("bad_text", f"{where} is empty; write a text")
    if found := UNWRITABLE.search(value):
        raise Unusable("bad_text", f"{where} holds the character U+{ord(found[0]):04X}, which is no text; remove it")
    if found := SPECIAL.search(value):
        raise Unusable("special_tokens", f"{where} holds {found[0]}, a special token of the models; write it in other words")
    return value


def shown(value) -> str:
    """A value of JSON as a message shows it, cut off at 80 characters."""
    text = {None: "null", True: "true", False: "false"}.get(value, repr(value)) if _simple(value) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _simple(value) -> bool:
    return value is None or isinstance(value, bool)
