"""Signals that end a training: noted when they come, acted on by all ranks together at the end of a step."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
_CODES = {signal.SIGUSR1: 128 + signal.SIGTERM}  # with which schedulers warn of the SIGTERM that follows


class StopSignals:
    """Notes the first signal that asks for an end; use as a context manager.

    Ctrl-C, SIGTERM, SIGHUP, and SIGUSR1, with which schedulers warn of the end of a job's time. Nothing is done in the
    handler: ranks are told at different times, and one that saved or stopped where it is would wait for the others
    forever. A second Ctrl-C ends at once.

    Attributes:
        number: The signal that came, 0 before.
    """

    def __init__(self) -> None:
        """Start without a signal."""
        self.number = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        """Take the signals over."""
        if threading.current_thread() is threading.main_thread():  # signals are the main thread's
            # One that is ignored, by nohup say, stays so.
            self._before = {n: signal.getsignal(n) for n in _SIGNALS if signal.getsignal(n) is not signal.SIG_IGN}
            self.install()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give them back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def install(self) -> None:
        """Put the handlers in place; once more where others have replaced them."""
        for number in self._before:
            signal.signal(number, self._note)

    @property
    def exit_code(self) -> int:
        """Return the exit code of a process that has stopped."""
        number = signal.Signals(self.number)
        return _CODES.get(number, 128 + number)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.number == signal.SIGINT:
            raise KeyboardInterrupt
        self.number = self.number or number
