"""One class for everything a user can put right; its message names the file or key, the value, and the remedy."""


class InputError(Exception):
    """Bad input: scripts print its message as one line and exit with 2, without a traceback."""
