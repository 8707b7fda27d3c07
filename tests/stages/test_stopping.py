"""Ctrl-C and SIGTERM are held back until the step has ended."""

import os
import signal

import pytest

from stages.support.stopping import NOTE, GracefulStop, ignore_signals


class TerminatedError(BaseException):
    """What the handler around the block does with SIGTERM."""


def terminate(number, frame):
    raise TerminatedError


@pytest.fixture(autouse=True)
def _handlers():
    former = [(n, signal.getsignal(n)) for n in (signal.SIGINT, signal.SIGTERM)]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, terminate)
    yield
    for number, handler in former:
        signal.signal(number, handler)


def step(signals, after=None):
    """A step during which signals arrive; what was done of it, and how it ended."""
    done = []
    try:
        with GracefulStop() as stop:
            for number in signals:
                os.kill(os.getpid(), number)
                done.append(stop.asked)
            if after:
                raise after
    except BaseException as error:
        return done, type(error)
    return done, None


@pytest.mark.parametrize(
    ("number", "error"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, TerminatedError)],
)
def test_a_signal_acts_when_the_block_has_ended(number, error, capfd):
    assert step([number]) == ([True], error)
    assert capfd.readouterr().err.encode() == NOTE


def test_a_second_signal_acts_at_once():
    assert step([signal.SIGTERM, signal.SIGINT]) == ([True], KeyboardInterrupt)


def test_an_error_in_the_block_is_not_hidden_by_a_signal():
    assert step([signal.SIGTERM], ZeroDivisionError()) == ([True], ZeroDivisionError)


def test_handlers_are_those_of_before_afterwards(capfd):
    assert step([]) == ([], None)
    assert signal.getsignal(signal.SIGTERM) is terminate
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert capfd.readouterr().err == ""


def test_a_rank_that_heard_nothing_ends_with_the_others():
    with pytest.raises(TerminatedError), GracefulStop(quiet=True) as stop:
        stop.ask()


def test_a_signal_that_was_ignored_stays_so():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with GracefulStop() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert not stop.asked
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_loaders_process_hears_neither():
    ignore_signals(0)
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)
