"""What comes of asking the door for an association and a C-ECHO."""

from __future__ import annotations

import ssl
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.sop_class import Verification


def echo(
    port: int,
    *,
    calling: str = "PACS",
    called: str = "HAYAT",
    source: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
    seconds: float = 30,
) -> str:
    """The status of the C-ECHO (``0x0000``), or ``rejected`` or ``aborted``, whichever the association was.

    pynetdicom says "aborted" too where the rejection comes before it has looked whether it is connected; what counts
    here is the A-ASSOCIATE-RJ that came.
    """
    received: list[Any] = []
    ae = AE(ae_title=calling)
    ae.acse_timeout = ae.connection_timeout = seconds
    ae.add_requested_context(Verification)
    association = ae.associate(
        "127.0.0.1",
        port,
        ae_title=called,
        bind_address=(source, 0),
        tls_args=None if tls is None else (tls, "127.0.0.1"),
        evt_handlers=[(evt.EVT_PDU_RECV, lambda event: received.append(event.pdu))],
    )
    if not association.is_established:
        return "rejected" if any(isinstance(one, A_ASSOCIATE_RJ) for one in received) else "aborted"
    status = association.send_c_echo().Status
    association.release()
    return f"0x{status:04X}"
