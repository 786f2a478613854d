"""The way from a browser to the site, as something that can be cut: a SOCKS 5 proxy.

https://www.rfc-editor.org/rfc/rfc1928, without authentication; what the browser says travels as it is.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ANSWERED = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00"
_REFUSED = b"\x05\x04\x00\x01\x7f\x00\x00\x01\x00\x00"
_CHUNK = 2**16


class Wire:
    """Connections of one browser; ``proxy`` is what Playwright's contexts take."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._pairs: dict[int, tuple[socket.socket, socket.socket, bytearray]] = {}
        self._lock = threading.Lock()
        self._down = False

    @property
    def proxy(self) -> dict[str, str]:
        """The settings of the proxy, for loopback addresses too."""
        return {"server": f"socks5://127.0.0.1:{self._listening.getsockname()[1]}", "bypass": "<-loopback>"}

    def cut(self, to: str = "", *, again: bool = False) -> int:
        """End the connections whose first line names this path, and unless ``again`` let no new ones through.

        Returns how many have been ended.
        """
        with self._lock:
            self._down = not again
            ended = [pair for pair in self._pairs.values() if to.encode() in pair[2].split(b"\r\n")[0]]
        for browser, site, _ in ended:
            for one in (browser, site):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
        return len(ended)

    def mend(self) -> None:
        """Let connections through again."""
        with self._lock:
            self._down = False

    def serve(self) -> None:
        """Take connections until the listening socket is closed."""
        with contextlib.suppress(OSError):
            while True:
                browser, _ = self._listening.accept()
                threading.Thread(target=self._connection, args=(browser,), daemon=True).start()

    def _connection(self, browser: socket.socket) -> None:
        with browser, contextlib.suppress(OSError, EOFError):
            _, methods = _exactly(browser, 2)
            _exactly(browser, methods)
            browser.sendall(b"\x05\x00")
            kind = _exactly(browser, 4)[3]
            host = _exactly(browser, 4 if kind == 1 else _exactly(browser, 1)[0])
            port = int.from_bytes(_exactly(browser, 2), "big")
            with self._lock:
                down = self._down
            if down:
                browser.sendall(_REFUSED)
                return
            name = socket.inet_ntoa(host) if kind == 1 else host.decode()
            with socket.create_connection((name, port)) as site:
                browser.sendall(_ANSWERED)
                self._pass_on(browser, site)

    def _pass_on(self, browser: socket.socket, site: socket.socket) -> None:
        said = bytearray()
        with self._lock:
            self._pairs[id(browser)] = (browser, site, said)
        back = threading.Thread(target=_pump, args=(site, browser, bytearray()), daemon=True)
        back.start()
        _pump(browser, site, said)
        back.join()
        with self._lock:
            del self._pairs[id(browser)]


@contextmanager
def wire() -> Iterator[Wire]:
    """A way that can be cut, while the block runs."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        made = Wire(listening)
        threading.Thread(target=made.serve, daemon=True).start()
        yield made
        listening.shutdown(socket.SHUT_RDWR)
        made.cut()


def _exactly(source: socket.socket, size: int) -> bytes:
    got = source.recv(size, socket.MSG_WAITALL)
    if len(got) < size:
        raise EOFError
    return got


def _pump(source: socket.socket, target: socket.socket, said: bytearray) -> None:
    """Pass bytes on until either side ends; ``said`` gets the first ones."""
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            if len(said) < _CHUNK:
                said += data
            target.sendall(data)
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
