"""The one exception that a user is meant to read."""


class FsslibError(Exception):
    """A problem with the input, told in one line: the value, the constraint and the remedy.

    Commands print the message without a traceback and exit with code 1; anything else that
    escapes is a bug and keeps its traceback. Line breaks in the message, such as those of a file
    name or of a key that a user chose, become spaces.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))


def reason(error: BaseException) -> str:
    """The first line of an error of a library, or its name; some go on for a page."""
    lines = str(error).splitlines()
    return lines[0][:160] if lines else type(error).__name__
