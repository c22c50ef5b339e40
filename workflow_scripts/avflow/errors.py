"""Errors that a user can fix. The message names the file or key, the value and the remedy."""


class InputError(Exception):
    """Bad input. Scripts print its message as one line and exit with code 2, without a traceback."""


class Unusable(InputError):
    """One question cannot be asked. `reason` is the word that the table of dropped questions shows."""

    def __init__(self, reason: str, message: str):
        super().__init__(message)
        self.reason = reason
