"""Become mongod, ending with the process that asked for it: ``python mongod_child.py PARENT_PID MONGOD [ARGUMENT..]``.

Run as a script of its own, so that nothing runs between fork and exec in a process that may have threads.
Linux sends SIGTERM when the parent is gone, whatever way it went (``PR_SET_PDEATHSIG`` of prctl(2), which
survives exec), so that no mongod is left behind for ever.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, program: str, arguments: list[str]) -> None:
    """Replace this process by ``program``, unless the parent has already gone."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)
    os.execv(program, [program, *arguments])  # noqa: S606 - the arguments are the starter's own, and no shell is meant


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
