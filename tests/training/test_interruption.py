"""The first signal ends a run after its step, the second one as the program has it."""

import signal

import pytest

from dcls_cli.training.processes import Interruption


class TerminatedError(Exception):
    """What the program raises on SIGTERM."""


@pytest.fixture(autouse=True)
def handler() -> object:
    """The program's own handler of SIGTERM, in place for the test."""

    def terminate(_number: int, _frame: object) -> None:
        raise TerminatedError

    before = signal.signal(signal.SIGTERM, terminate)
    yield terminate
    signal.signal(signal.SIGTERM, before)


def test_a_signal_asks_for_the_end_and_gives_the_exit_code(handler: object) -> None:
    interruption, stops = Interruption(), []
    with interruption.handled(lambda: stops.append(1)):
        assert (interruption.arrived(), interruption.exit_code) == (False, None)
        signal.raise_signal(signal.SIGTERM)
    assert (interruption.arrived(), interruption.exit_code, stops) == (True, 143, [1])
    assert signal.getsignal(signal.SIGTERM) is handler


def test_a_second_signal_goes_to_the_handler_before() -> None:
    interruption = Interruption()
    with pytest.raises(TerminatedError), interruption.handled(lambda: None):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
    assert interruption.exit_code == 130


def test_a_signal_that_was_ignored_ends_the_run_too() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(KeyboardInterrupt), Interruption().handled(lambda: None):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
