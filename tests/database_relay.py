"""A way to MongoDB that can be cut: what a store does when its database goes away."""

from __future__ import annotations

import socket
import threading
from urllib.parse import urlsplit


class Relay:
    """A way to MongoDB that can be cut and mended."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._is_cut = False
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._run, daemon=True).start()

    def cut(self) -> None:
        """Nothing passes any more."""
        self._is_cut = True
        self._shut()

    def mend(self) -> None:
        """It passes again."""
        self._is_cut = False

    def close(self) -> None:
        """For good."""
        self.cut()
        self._listening.close()

    def _shut(self) -> None:
        while self._open:
            connection = self._open.pop()
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def _run(self) -> None:
        while True:
            try:
                incoming, _ = self._listening.accept()
            except OSError:
                return
            if self._is_cut:
                incoming.close()
                continue
            outgoing = socket.create_connection(self._target)
            self._open += [incoming, outgoing]
            for one, other in ((incoming, outgoing), (outgoing, incoming)):
                threading.Thread(target=_pass, args=(one, other), daemon=True).start()


def _pass(source: socket.socket, sink: socket.socket) -> None:
    with source, sink:
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
        except OSError:
            return


def through(url: str, port: int) -> str:
    """The same MongoDB through a port of this machine."""
    parts = urlsplit(url)
    credentials = parts.netloc.rpartition("@")[0]
    query = f"{parts.query}&directConnection=true" if parts.query else "directConnection=true"
    address = f"{credentials}@127.0.0.1:{port}" if credentials else f"127.0.0.1:{port}"
    return parts._replace(netloc=address, query=query).geturl()
