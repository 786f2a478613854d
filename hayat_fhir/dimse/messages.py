"""DIMSE messages put together from their fragments, within bounds (PS3.7 6.3.1, PS3.8 annex E).

The data set of a C-STORE goes where the storage service wants it as it arrives; other messages are small, and go to
pynetdicom once they are complete.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Protocol

from pynetdicom import evt
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import _MESSAGE_TYPES, DIMSEMessage
from pynetdicom.dimse_primitives import C_CANCEL
from pynetdicom.pdu_primitives import P_DATA

from hayat_fhir.dimse.commands import (
    C_STORE_RQ,
    COMMAND_FIELD,
    DATA_SET_TYPE,
    NO_DATA_SET,
    StoreRequest,
    elements,
    store_request,
)
from hayat_fhir.errors import InvalidRequest

_LONGEST_COMMAND = 16 * 1024
_LONGEST_DATA_SET = 4 * 2**20
"""Bytes of the data set of any message but C-STORE."""
_MOST_EMPTY = 64
"""Fragments without content, of one message."""
_LONGEST_IMAGE = 2**32
"""Bytes of the data set of a C-STORE; what takes it may stop before."""
_MOST_CANCELLATIONS = 10
_IS_COMMAND, _IS_LAST = 0x01, 0x02
_SLICE = 0.1


class Sink(Protocol):
    """Takes the data set of one C-STORE."""

    def write(self, data: memoryview) -> None:
        """The next bytes."""

    def discard(self) -> None:
        """It will not be completed, or nobody will ask for it."""


@dataclass(frozen=True, slots=True)
class StoreMessage:
    """A C-STORE that has arrived; the names that pynetdicom asks for say that it is no response."""

    request: StoreRequest
    sink: Sink
    msg_type: str = "C-STORE"
    is_valid_request: bool = True
    is_valid_response: bool = False


class Messages(DIMSEServiceProvider):  # type: ignore[misc]
    """The messages of one association, which offers ``sink_for(context id, request)``."""

    def __init__(self, association: Any) -> None:  # noqa: ANN401 - pynetdicom's Association
        super().__init__(association)
        self._reset()

    def _reset(self) -> None:
        self._context_id: int | None = None
        self._command, self._data = bytearray(), bytearray()
        self._has_command = False
        self._empty = self._received = 0
        self._request: StoreRequest | None = None
        self._sink: Sink | None = None

    @property
    def is_incomplete(self) -> bool:
        """Whether more fragments of a message must come."""
        return self._context_id is not None

    def discard(self) -> None:
        """The association is over: drop what is incomplete, and what nobody has answered."""
        if self._sink is not None:
            self._sink.discard()
        self._reset()
        while not self.msg_queue.empty():
            message = self.get_msg()[1]
            if isinstance(message, StoreMessage):
                message.sink.discard()

    def get_msg(self, block: bool = False) -> Any:  # noqa: ANN401 - pynetdicom's pair of context id and message
        """The next message, (None, None) where there is none; with ``block`` the peer has ``dimse_timeout``."""
        if block:
            deadline = time.monotonic() + (self.dimse_timeout or 0)
            while self.msg_queue.empty() and self.dul.is_alive() and time.monotonic() < deadline:
                self.dul.pump(_SLICE)
        return super().get_msg(block=False)

    def fragment(self, context_id: int, control: int, data: memoryview) -> None:
        """Take the next fragment.

        Raises:
            InvalidRequest: The fragments make no message, or one that is larger than may be.
        """
        if self._context_id is None:
            if context_id not in self.assoc._accepted_cx:
                raise InvalidRequest("a presentation context that was not accepted")
            self._context_id = context_id
        elif context_id != self._context_id:
            raise InvalidRequest("a message in two presentation contexts")
        if bool(control & _IS_COMMAND) == self._has_command:
            raise InvalidRequest("the fragments are out of order")
        self._empty += not data
        if self._empty > _MOST_EMPTY:
            raise InvalidRequest("too many empty fragments")
        if control & _IS_COMMAND:
            self._take_command(data, is_last=bool(control & _IS_LAST))
        else:
            self._take_data(data, is_last=bool(control & _IS_LAST))

    def _take_command(self, data: memoryview, *, is_last: bool) -> None:
        self._command += data
        if len(self._command) > _LONGEST_COMMAND:
            raise InvalidRequest("the command set is too long")
        if not is_last:
            return
        self._has_command = True
        command = elements(self._command)
        if int.from_bytes(command.get(COMMAND_FIELD, b""), "little") not in _MESSAGE_TYPES:
            raise InvalidRequest("the command set is of no message", code="value")
        if command.get(COMMAND_FIELD) == C_STORE_RQ:
            self._request = store_request(command)
            self._sink = self.assoc.sink_for(self._context_id, self._request)
        elif command.get(DATA_SET_TYPE) == NO_DATA_SET:
            self._complete()

    def _take_data(self, data: memoryview, *, is_last: bool) -> None:
        self._received += len(data)
        if self._received > (_LONGEST_DATA_SET if self._sink is None else _LONGEST_IMAGE):
            raise InvalidRequest("the message is too long")
        if self._sink is not None:
            self._sink.write(data)
        else:
            self._data += data
        if is_last:
            self._complete()

    def _complete(self) -> None:
        context_id, command, data = self._context_id, bytes(self._command), bytes(self._data)
        request, sink = self._request, self._sink
        self._reset()
        if request is not None and sink is not None:
            self.msg_queue.put((context_id, StoreMessage(request, sink)))
            return
        primitive = P_DATA()
        primitive.presentation_data_value_list = [[context_id, b"\x03" + command], [context_id, b"\x02" + data]]
        self.receive_primitive(primitive)

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take one whole message; a cancellation is kept where the service that runs looks for it.

        Raises:
            InvalidRequest: It is not a whole message.
        """
        message = DIMSEMessage()
        if not message.decode_msg(primitive):
            raise InvalidRequest("the message is not whole")
        evt.trigger(self.assoc, evt.EVT_DIMSE_RECV, {"message": message})
        received = message.message_to_primitive()
        if not isinstance(received, C_CANCEL):
            self.msg_queue.put((message.context_id, received))
        elif len(self.cancel_req) < _MOST_CANCELLATIONS:
            self.cancel_req[received.MessageIDBeingRespondedTo] = received
