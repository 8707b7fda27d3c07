"""Delays Ctrl-C and SIGTERM until the running step has ended."""

import os
import signal
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
NOTE = b"\nfinishing this step, then stopping; once more stops at once\n"


class GracefulStop:
    """Holds back the first signal until the block ends; a second one acts at once.

    Attributes:
        asked: whether a signal has arrived.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._number: int | None = None
        self._former: dict[int, Any] = {}

    @property
    def asked(self) -> bool:
        """Whether a signal has arrived."""
        return self._number is not None

    def __enter__(self) -> "GracefulStop":
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # ignored in a background job
                self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self._restore()
        if self._number is not None and kind is None:
            signal.raise_signal(self._number)

    def ask(self) -> None:
        """Stop at the end of the block, since another rank got a signal.

        If this process got no signal, the block ends as after SIGTERM.
        """
        self._number = self._number or signal.SIGTERM

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._number = number
        self._restore()
        if not self._quiet:
            os.write(2, NOTE)  # no print: the handler may have interrupted one

    def _restore(self) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former = {}


def ignore_signals(worker: int) -> None:
    """Ignore signals in a loader's process; its parent process gets them and ends it."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
