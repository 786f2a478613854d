"""The inside of pynetdicom that our subclasses stand on is as it was when they were written."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest
from pynetdicom import acse, ae, association, dimse, dimse_messages, dul, transport

_CODE: list[tuple[Callable[..., Any], str]] = [
    (association.Association.run_reactor, "ed8bbbe3b3d6ddae"),
    (association.Association._run_reactor, "f28838c5559e462a"),
    (association.Association._serve_request, "2f24c1759cdf6c8c"),
    (association.Association._abort_blocking, "10b43ef8c63c6764"),
    (association.Association.kill, "8f9713666a7f4cff"),
    (association.Association.__init__, "eb07516b8009ad8f"),
    (dul.DULServiceProvider.__init__, "c82dafa9438ddf70"),
    (dul.DULServiceProvider.run_reactor, "e3a10eb3a0931e48"),
    (dul.DULServiceProvider._process_recv_primitive, "4c0ebbb3e646e35e"),
    (dul.DULServiceProvider._decode_pdu, "fc71dd1bf853e1ce"),
    (dul.DULServiceProvider.receive_pdu, "fa67339834ca998c"),
    (dul.DULServiceProvider.send_pdu, "7cbce5da8594124e"),
    (dul.DULServiceProvider.kill_dul, "5ceccf8dd01c2072"),
    (dul.DULServiceProvider.stop_dul, "28a7e0be126e7b30"),
    (dimse.DIMSEServiceProvider.get_msg, "890e3e04283f5aeb"),
    (dimse.DIMSEServiceProvider.receive_primitive, "5f99c86b14a15cef"),
    (dimse.DIMSEServiceProvider.__init__, "bbecd186810e7700"),
    (dimse_messages.DIMSEMessage.decode_msg, "f51c777e841a76be"),
    (acse.ACSE._negotiate_as_acceptor, "fffd360957c42a8e"),
    (acse.ACSE._negotiate_as_requestor, "507959152c5896c6"),
    (acse.ACSE.send_request, "3608921809cbe3a5"),
    (ae.ApplicationEntity.associate, "dbc8cf47090386b2"),
    (ae.ApplicationEntity._create_socket, "f56bca8888e1ce9f"),
    (transport.AssociationSocket.__init__, "1f0325fdef2cc353"),
    (transport.AssociationSocket.send, "1ea8158c0b51faca"),
    (transport.AssociationSocket.close, "c726c8db53813d55"),
    (transport.AssociationSocket.connect, "aeeeae413bd339dc"),
    (transport.AssociationSocket.recv, "6bc20a33b1b7cfe7"),
    (transport.AssociationSocket._shutdown_socket, "e2b2628faa81a578"),
    (transport.RequestHandler._create_association, "05c8d12b79863cdb"),
]


def test_version() -> None:
    """The pinned version is installed."""
    assert version("pynetdicom") == "3.0.4"


@pytest.mark.parametrize(("method", "digest"), _CODE, ids=lambda value: getattr(value, "__qualname__", ""))
def test_code(method: Callable[..., Any], digest: str) -> None:
    """What is overridden, replaced or called by a private name is the code that was read."""
    assert hashlib.sha256(inspect.getsource(method).encode()).hexdigest()[:16] == digest


def test_message_types() -> None:
    """The command fields of all DIMSE messages are known by the private name that is read."""
    requests = {0x01, 0x10, 0x20, 0x21, 0x30, 0x100, 0x110, 0x120, 0x130, 0x140, 0x150}
    responses = {field | 0x8000 for field in requests}
    assert set(dimse_messages._MESSAGE_TYPES) == requests | responses | {0x0FFF}
