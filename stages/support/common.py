"""What all stage commands share: exit codes for errors, progress bars and the project folder."""

import functools
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, NoReturn, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from fsslib.errors import FsslibError
from fsslib.ranks import read_ranks

P = ParamSpec("P")
T = TypeVar("T")

STDOUT = 1
"""Its file descriptor."""

QUIET_SECONDS = 10
"""Seconds between progress lines if standard error is not a terminal (a log, CI)."""

console = Console(stderr=True, highlight=False)

FoldOption = Annotated[
    int | None,
    typer.Option(min=0, help="Fold to work on. Default: every fold of params.yaml in turn."),
]


def make_app(function: Callable[..., None]) -> typer.Typer:
    """Make a Typer app with one command, plain tracebacks and no completion options."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(function)
    return app


def command(function: Callable[P, None]) -> Callable[P, None]:
    """Turn our errors into one line and exit code 1, and Ctrl-C and SIGTERM into codes 130 and 143.

    Of several processes (`fsslib.ranks`), the first runs the function and the others end at once.
    """

    @functools.wraps(function)
    def alone(*args: P.args, **kwargs: P.kwargs) -> None:
        ranks = read_ranks()
        ranks.require_together("this step")
        if ranks.size > 1 and ranks.leads:
            say(f"this step runs in one process: {ranks.size - 1} more have nothing to do")
        if ranks.leads:
            function(*args, **kwargs)

    return shared_command(alone)


def shared_command(function: Callable[P, None]) -> Callable[P, None]:
    """Like `command`, for a function that shares its work among all processes."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        signal.signal(signal.SIGTERM, _terminate)
        try:
            function(*args, **kwargs)
        except FsslibError as error:
            _stop(f"error: {error}", 1)
        except OSError as error:
            if error.errno is None:
                raise
            if isinstance(error, BrokenPipeError) and _reader_is_gone():
                raise typer.Exit(1) from None
            where = f" {error.filename}" if error.filename else ""
            _stop(f"error:{where} {error.strerror}: free space or mend the path, then rerun", 1)
        except _TerminatedError:
            _stop("terminated: run the same command again", 143, once=True)
        except KeyboardInterrupt:
            _stop("interrupted: run the same command again", 130, once=True)

    return wrapper


class _TerminatedError(BaseException):
    """SIGTERM arrived."""


def _terminate(number: int, frame: object) -> NoReturn:
    raise _TerminatedError


def _reader_is_gone() -> bool:
    """Whether standard output is a pipe that nobody reads any more, as behind `| head`."""
    waiting = select.poll()
    waiting.register(STDOUT, select.POLLOUT)
    return any(event & select.POLLERR for _, event in waiting.poll(0))


def _stop(message: str, code: int, once: bool = False) -> NoReturn:
    """Print a line and exit; with `once`, only the first rank prints it."""
    if not once or read_ranks().leads:
        print(" ".join(message.split()), file=sys.stderr)
    raise typer.Exit(code) from None


class _Rate(ProgressColumn):
    """Units per second."""

    def __init__(self, each: int, unit: str) -> None:
        super().__init__()
        self._each, self._unit = each, unit

    def render(self, task: Task) -> Text:
        return Text(f"{(task.speed or 0) * self._each:.1f}{self._unit}/s", style="cyan")


class Bar:
    """A progress bar on a terminal, a line now and then in a log, or nothing if `silent`.

    The rate is `each` times the units per second, shown with the name `unit`. A bar that counts
    steps can thus show images per second.
    """

    def __init__(
        self, title: str, total: int, silent: bool = False, each: int = 1, unit: str = ""
    ) -> None:
        self.silent, self._each, self._unit = silent, each, unit
        self.title, self.total, self.done, self.skipped = title, total, 0, 0
        self._start = self._said = time.monotonic()
        self._note = ""
        self._rich: Progress | None = None
        if console.is_terminal and not silent:
            self._rich = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                _Rate(each, unit),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
                console=console,
            )
            self._task = self._rich.add_task(title, total=total, note="")

    def __enter__(self) -> "Bar":
        if self._rich:
            self._rich.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._rich:
            self._rich.stop()

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count `count` more units as done, and show `note` after the bar."""
        self.done += count
        self._note = note or self._note
        if self._rich:
            self._rich.update(self._task, advance=count, note=self._note)
            return
        now = time.monotonic()
        if now - self._said >= QUIET_SECONDS and not self.silent:
            self._said = now
            rate = (self.done - self.skipped) / (now - self._start)
            left = (self.total - self.done) / max(rate, 1e-9)
            line = f"{self.title}: {self.done}/{self.total}, {rate * self._each:.1f}{self._unit}/s"
            text = f"{line}, {left:.0f} s left {self._note}".rstrip()
            print(text, file=sys.stderr, flush=True)

    def count(self, items: Iterable[T]) -> Iterator[T]:
        """Pass items through and count each of them."""
        for item in items:
            yield item
            self.advance()

    def skip(self, count: int) -> None:
        """Count units that an earlier run finished; they do not enter the rate."""
        self.skipped += count
        self.advance(count, note="(resumed)" if count else "")


def say(message: str) -> None:
    """Print a line for the user on standard error."""
    print(message, file=sys.stderr, flush=True)


def project_root() -> Path:
    """The folder that relative paths in params.yaml are relative to.

    This is the working directory. In a temporary DVC experiment (`.dvc/tmp/exps/...`), it is the
    project that the experiment was made from, so `data_root: ../photos` means the same folder.
    """
    here = Path.cwd()
    for parent in here.parents:
        if parent.parts[-3:] == (".dvc", "tmp", "exps"):
            return parent.parent.parent.parent
    return here


def as_json(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """A pydantic section as plain values for scratch keys and file headers."""
    return value.model_dump() if hasattr(value, "model_dump") else value
