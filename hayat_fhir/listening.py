"""TCP ports of this machine: a listening socket, or a clear reason why there is none."""

from __future__ import annotations

import errno
import socket
import time

from hayat_fhir.errors import ConfigurationError

BACKLOG = 2048
_PAUSE = 0.1


def listening_socket(setting: str, host: str, port: int, patience: float = 0.0) -> socket.socket:
    """A socket that listens on this port; ``patience`` seconds for its last holder to end.

    It takes connections into its queue from now on, whoever accepts them, and however late.

    Raises:
        ConfigurationError: The port cannot be had; the message begins with ``setting``.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return _listen(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() >= deadline:
                reason = error.strerror or type(error).__name__
                raise ConfigurationError(f"{setting}: cannot listen on {host}:{port}: {reason}") from error
        time.sleep(_PAUSE)


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening
