"""pynetdicom's DICOM upper layer without a thread of its own: whoever waits for the peer pumps it.

Stock pynetdicom 3.0.4 runs two threads for each association that look at each other's queues every millisecond.
Here the association's thread reads, decodes, answers and sends by itself, and sleeps in ``poll`` meanwhile. The state
machine (PS3.8 9.2) is pynetdicom's own, but for P-DATA of an established association, which is handed straight to the
message it belongs to, without a copy.
"""

from __future__ import annotations

import struct
import time
from typing import Any

from pynetdicom.dul import DULServiceProvider

from hayat_fhir.dimse.transport import BoundedSocket
from hayat_fhir.errors import InvalidRequest

MAXIMUM_PDU = 262_144
"""Bytes of the largest P-DATA-TF that is taken: what is offered as maximum length."""
_NEGOTIATION_PDU = 131_072
_SMALL = 4096
_HEADER = 6
_ITEM = 6
_P_DATA = 0x04
_TYPES = frozenset({0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07})
_ESTABLISHED = "Sta6"
_AWAITING_CLOSE = "Sta13"
_IDLE = "Sta1"
_SLICE = 0.1


class UpperLayer(DULServiceProvider):  # type: ignore[misc]
    """The upper layer of one accepted association; all of it runs in the thread that calls it."""

    socket: BoundedSocket

    def __init__(self, association: Any) -> None:  # noqa: ANN401 - pynetdicom's Association
        super().__init__(association)
        self._buffer = bytearray(_SMALL)

    def start(self) -> None:
        """Begin; there is no thread to start."""
        self._idle_timer.start()
        self.assoc._dul_ready.set()

    def is_alive(self) -> bool:
        """Whether the connection is still being served."""
        return not self._kill_thread

    def kill_dul(self) -> None:
        """End, and give back what was needed for reading: the rest goes when the garbage collector comes."""
        self._kill_thread = True
        self._buffer = bytearray()

    def stop_dul(self) -> bool:
        """End, if the state machine is idle; otherwise bring it nearer to that."""
        if self.state_machine.current_state != _IDLE:
            self.pump(_SLICE)
        if self.state_machine.current_state == _IDLE:
            self.kill_dul()
        return bool(self._kill_thread)

    def send_pdu(self, primitive: Any) -> None:  # noqa: ANN401 - pynetdicom's primitives
        """Send what this primitive stands for, now, and take in what has come meanwhile, such as a cancellation."""
        super().send_pdu(primitive)
        self._act()
        if self.is_alive() and self.state_machine.current_state == _ESTABLISHED:
            self.pump(0)

    def receive_pdu(self, wait: bool = False, timeout: float | None = None) -> Any:  # noqa: ANN401 - a primitive
        """The next primitive for the association; with ``wait`` the peer has ``timeout`` seconds."""
        deadline = time.monotonic() + (timeout or 0)
        while wait and self.to_user_queue.empty() and self.is_alive() and time.monotonic() < deadline:
            self.pump(_SLICE)
        return super().receive_pdu(wait=False)

    def pump(self, seconds: float) -> None:
        """Wait for the peer for that long at most, and act on what it sends, up to the end of a message."""
        self._act()
        if self.artim_timer.expired:
            self.event_queue.put("Evt18")
        elif self.state_machine.current_state == _AWAITING_CLOSE:
            self.socket.take_leave()
            self.socket.close()
        elif self.is_alive() and self.socket is not None and self.socket.wait(seconds):
            self._read_pdu_data()
            while self.assoc.dimse.is_incomplete and self.event_queue.empty():
                self._read_pdu_data()
            self._idle_timer.restart()
        self._act()

    def _act(self) -> None:
        """Let the state machine act on all that has happened."""
        while self.is_alive():
            if self.event_queue.queue:
                self.state_machine.do_action(self.event_queue.get_nowait())
            elif not self._process_recv_primitive():
                return

    def _read_pdu_data(self) -> None:
        """Read one PDU and put its event into the queue, or its fragments into their message."""
        view = memoryview(self._buffer)
        kind = length = 0
        try:
            self.socket.begin()
            whole = self.socket.fill(view[:_HEADER])
            if whole:
                kind, length = struct.unpack_from(">BxL", view)
                if kind not in _TYPES or length > self._limit(kind):
                    self.event_queue.put("Evt19")
                    return
                if _HEADER + length > len(view):
                    self._buffer = self._buffer[:_HEADER] + bytearray(max(length, self._limit(_P_DATA)))
                    view = memoryview(self._buffer)
                whole = self.socket.fill(view[_HEADER : _HEADER + length])
        except (OSError, AttributeError):
            whole = False
        if not whole:
            self.event_queue.put("Evt17")
        elif kind == _P_DATA and self.state_machine.current_state == _ESTABLISHED:
            self._take_fragments(view[_HEADER : _HEADER + length])
        else:
            self._take_pdu(bytes(view[: _HEADER + length]))

    def _limit(self, kind: int) -> int:
        return MAXIMUM_PDU if kind == _P_DATA and self.assoc.is_established else _NEGOTIATION_PDU

    def _take_fragments(self, values: memoryview) -> None:
        """Take the presentation data values of a P-DATA-TF (PS3.8 9.3.5)."""
        at = 0
        try:
            if not values:
                raise InvalidRequest("no presentation data value")
            while at < len(values):
                if at + _ITEM > len(values):
                    raise InvalidRequest("a presentation data value is cut short")
                length, context_id, control = struct.unpack_from(">LBB", values, at)
                end = at + 4 + length
                if length < 2 or end > len(values):
                    raise InvalidRequest("a presentation data value is cut short")
                self.assoc.dimse.fragment(context_id, control, values[at + _ITEM : end])
                at = end
        except InvalidRequest:
            self.event_queue.put("Evt19")

    def _take_pdu(self, encoded: bytes) -> None:
        try:
            pdu, event = self._decode_pdu(encoded)
        except Exception:  # noqa: BLE001 - pynetdicom's decoder raises whatever a stranger's bytes make it
            self.event_queue.put("Evt19")
            return
        self._recv_pdu.put(pdu)
        self.event_queue.put(event)
