"""The command sets of C-STORE, read and written without detours: they come with every image.

PS3.7 6.3 (structure), 9.3.1 (C-STORE), annex E (elements).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hayat_fhir.errors import InvalidRequest

COMMAND_FIELD, DATA_SET_TYPE = 0x0100, 0x0800
NO_DATA_SET = b"\x01\x01"
C_STORE_RQ = b"\x01\x00"
_C_STORE_RSP = b"\x01\x80"
_HAS_DATA_SET = b"\x00\x00"
_PRIORITY, _ORIGINATOR, _ORIGINATOR_MESSAGE_ID = 0x0700, 0x1030, 0x1031
_MEDIUM = b"\x00\x00"
_GROUP_LENGTH, _AFFECTED_CLASS, _AFFECTED_INSTANCE = 0x0000, 0x0002, 0x1000
_MESSAGE_ID, _RESPONDED_TO, _STATUS = 0x0110, 0x0120, 0x0900
_P_DATA_TF = 0x04
_LAST_COMMAND = 0x03


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """A C-STORE-RQ."""

    message_id: int
    sop_class: str
    sop_instance: str


def elements(command: bytes | bytearray) -> dict[int, bytes]:
    """The elements of a command set by number: implicit VR little endian, each once, all of group 0000.

    Raises:
        InvalidRequest: It is not a command set.
    """
    found: dict[int, bytes] = {}
    at = 0
    while at < len(command):
        if at + 8 > len(command):
            raise InvalidRequest("the command set is malformed", code="structure")
        group, element, length = struct.unpack_from("<HHL", command, at)
        at += 8
        if group != 0 or element in found or at + length > len(command):
            raise InvalidRequest("the command set is malformed", code="structure")
        found[element] = bytes(command[at : at + length])
        at += length
    return found


def store_request(command: Mapping[int, bytes]) -> StoreRequest:
    """The C-STORE-RQ with these elements.

    Raises:
        InvalidRequest: It is incomplete, or has no data set.
    """
    if {_MESSAGE_ID, _AFFECTED_CLASS, DATA_SET_TYPE, _AFFECTED_INSTANCE} - command.keys():
        raise InvalidRequest("the C-STORE request is incomplete", code="required")
    if command[DATA_SET_TYPE] == NO_DATA_SET or len(command[_MESSAGE_ID]) != 2:
        raise InvalidRequest("the C-STORE request is malformed", code="value")
    return StoreRequest(
        int.from_bytes(command[_MESSAGE_ID], "little"),
        _uid(command[_AFFECTED_CLASS]),
        _uid(command[_AFFECTED_INSTANCE]),
    )


def store_response(request: StoreRequest, context_id: int, status: int) -> bytes:
    """The P-DATA-TF PDU with the C-STORE-RSP."""
    return _pdu(
        context_id,
        (
            _element(_AFFECTED_CLASS, _padded(request.sop_class)),
            _element(COMMAND_FIELD, _C_STORE_RSP),
            _element(_RESPONDED_TO, struct.pack("<H", request.message_id)),
            _element(DATA_SET_TYPE, NO_DATA_SET),
            _element(_STATUS, struct.pack("<H", status)),
            _element(_AFFECTED_INSTANCE, _padded(request.sop_instance)),
        ),
    )


def store_command(request: StoreRequest, context_id: int, originator: tuple[str, int] | None = None) -> bytes:
    """The P-DATA-TF PDU with the command of a C-STORE-RQ, whose data set follows.

    ``originator``: the AE title and message id of the C-MOVE that it is a part of.
    """
    elements = [
        _element(_AFFECTED_CLASS, _padded(request.sop_class)),
        _element(COMMAND_FIELD, C_STORE_RQ),
        _element(_MESSAGE_ID, struct.pack("<H", request.message_id)),
        _element(_PRIORITY, _MEDIUM),
        _element(DATA_SET_TYPE, _HAS_DATA_SET),
        _element(_AFFECTED_INSTANCE, _padded(request.sop_instance)),
    ]
    if originator is not None:
        title = originator[0].encode("ascii", "replace")
        elements += [
            _element(_ORIGINATOR, title + b" " * (len(title) % 2)),
            _element(_ORIGINATOR_MESSAGE_ID, struct.pack("<H", originator[1])),
        ]
    return _pdu(context_id, elements)


def _pdu(context_id: int, elements: Iterable[bytes]) -> bytes:
    command = b"".join(elements)
    command = _element(_GROUP_LENGTH, struct.pack("<L", len(command))) + command
    length = len(command) + 2
    return struct.pack(">BBLLBB", _P_DATA_TF, 0, length + 4, length, context_id, _LAST_COMMAND) + command


def _element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHL", 0, number, len(value)) + value


def _uid(value: bytes) -> str:
    return value.decode("ascii", "replace").rstrip("\0 ")


def _padded(uid: str) -> bytes:
    value = uid.encode("ascii", "replace")
    return value + b"\0" * (len(value) % 2)
