"""Everything a user can put right; the message names the file or key, the value, and the remedy."""


class InputError(Exception):
    """Bad input: scripts print its message as one line and exit with 2, without a traceback."""


class Unusable(InputError):
    """One question that cannot be asked; `reason` is a word for the table of dropped questions."""

    def __init__(self, reason: str, message: str):
        super().__init__(message)
        self.reason = reason
