"""The one exception that a user is meant to read."""


class FsslibError(Exception):
    """A problem with the input, told in one line: the value, the constraint and the remedy.

    Commands print the message without a traceback and exit with code 1; anything else that
    escapes is a bug and keeps its traceback.
    """
