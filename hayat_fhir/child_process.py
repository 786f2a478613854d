"""A process of a family, from both sides: how the supervisor starts and restarts it, and how it ends by itself.

The child's standard input is the lifeline: a pipe of which only the supervisor holds the other end. A byte tells
the child, which has loaded its code meanwhile, to begin its work. When the supervisor is gone, whatever way it went,
the kernel closes the pipe, and the child ends.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0
STEADY = 30.0
"""Seconds after which a process that dies is restarted soon again."""
MORE = signal.SIGUSR1
"""What a child sends to its supervisor when there is work for one more of its kind."""
_CODECS = ("PIL", "gdcm", "jpeg_ls", "libjpeg", "numpy", "openjpeg", "pylibjpeg", "requests", "rich", "rle")
_STACK = 2 << 20
"""Bytes of a thread's stack in a process whose memory is limited."""
_LAST_WORDS = 2.0
"""Seconds that a process without a supervisor has to end."""


@dataclass(slots=True)
class Backoff:
    """When to start a thing again that has died: soon, and later and later while it keeps dying soon.

    All times are in seconds of one monotonic clock.
    """

    due: float = 0.0
    _pause: float = FIRST_PAUSE / 2
    _started: float = 0.0

    def started(self, now: float) -> None:
        """It was started."""
        self._started = now

    def died(self, now: float) -> None:
        """It was found dead, or could not be started; ``due`` is when to try next."""
        self._pause = FIRST_PAUSE if now - self._started > STEADY else min(self._pause * 2, LONGEST_PAUSE)
        self.due = now + self._pause


@dataclass(slots=True)
class ChildProcess:
    """One ``hayat`` process of the family. ``sockets`` are the file descriptors that it inherits."""

    name: str
    arguments: Sequence[str]
    sockets: tuple[int, ...] = ()
    status: int | None = None
    """The exit status of its last run; negative for a signal."""
    _process: subprocess.Popen[bytes] | None = None
    _begun: bool = False
    _backoff: Backoff = field(default_factory=Backoff)

    @property
    def running(self) -> bool:
        """Whether it has been started and not been found dead."""
        return self._process is not None

    def start_if_due(self, environment: Mapping[str, str]) -> bool:
        """Start it, waiting, unless it runs or its pause is not over; whether it was started."""
        now = time.monotonic()
        if self._process is not None or now < self._backoff.due:
            return False
        self._backoff.started(now)
        self._begun = False
        self._process = subprocess.Popen(  # noqa: S603 - this package's own command
            [sys.executable, "-m", "hayat_fhir", *self.arguments, "--supervised"],
            env=dict(environment),
            stdin=subprocess.PIPE,
            pass_fds=self.sockets,
            process_group=0,
        )
        return True

    def begin(self) -> None:
        """Let it begin its work; it does not wait for more than the first of these."""
        if self._process is not None and self._process.stdin is not None and not self._begun:
            self._begun = True
            with suppress(BrokenPipeError):
                self._process.stdin.write(b"\n")
                self._process.stdin.flush()

    def has_died(self) -> bool:
        """Whether it has died since it was started; says so once."""
        if self._process is None or self._process.poll() is None:
            return False
        self.status = self._process.returncode
        self._forget()
        self._backoff.died(time.monotonic())
        return True

    def terminate(self) -> None:
        """Ask it to end."""
        if self._process is not None:
            self._process.terminate()

    def wait(self, patience: float) -> bool:
        """Whether it ended by itself within ``patience`` seconds; if not, it has been killed."""
        if self._process is None:
            return True
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return False
        finally:
            self._forget()
        return True

    def _forget(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process = None


def follow_supervisor() -> None:
    """In the child: return when it may begin; from then on end this process when the supervisor is gone."""
    if not os.read(0, 1):
        sys.exit(0)

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_LAST_WORDS)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def ask_for_company() -> None:
    """In a supervised child: it has more to do than one process does well; let the supervisor start another."""
    os.kill(os.getppid(), MORE)


def limit_memory(megabytes: int) -> None:
    """Let an allocation beyond this fail, and with it the task that asks for it, not the machine."""
    threading.stack_size(_STACK)
    resource.setrlimit(resource.RLIMIT_DATA, (megabytes << 20, megabytes << 20))


def leave_no_core() -> None:
    """Let no crash of this process write its memory, and the personal data in it, to a file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def load_no_codecs() -> None:
    """Keep what decodes pixels, downloads or paints out of this process, before pydicom and structlog load it.

    A door that never looks at pixels needs neither the memory nor the faults of codecs.
    """
    sys.modules.update(dict.fromkeys(_CODECS))  # type: ignore[arg-type] # None: cannot be imported
