"""What peers see of the DICOM port when it speaks TLS."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from hayat_fhir.dimse.door import DoorOptions
from hayat_fhir.dimse.tls import ServerTls
from hayat_fhir.errors import ConfigurationError

from .authority import Authority, Issued
from .conftest import PEER, RunningDoor, opened
from .echo import echo as plain_echo


@pytest.fixture
def tls(authority: Authority) -> ServerTls:
    """The door's TLS: its own certificate, and clients' certificates required, of which none is revoked."""
    own = authority.issue("door")
    return ServerTls(own.certificate, own.key, authority.certificate, authority.revoke())


@pytest.fixture
def door(mongodb_url: str, database_name: str, tmp_path: Path, tls: ServerTls) -> Iterator[RunningDoor]:
    """A door that speaks TLS."""
    with opened(mongodb_url, database_name, tmp_path / "blobs", options=DoorOptions("HAYAT", tls)) as running:
        yield running
        running.rows.database.client.drop_database(database_name)


def echo(
    port: int, authority: Authority, shown: Issued | None, most: ssl.TLSVersion | None = None, calling: str = "PACS"
) -> str:
    """Ask for an association over TLS, and a C-ECHO."""
    context = ssl.create_default_context(cafile=str(authority.certificate))
    if shown is not None:
        context.load_cert_chain(shown.certificate, shown.key)
    if most is not None:
        context.maximum_version = most
    return plain_echo(port, calling=calling, tls=context)


def test_echo_over_tls(door: RunningDoor, authority: Authority) -> None:
    """A peer whose certificate is for its registered host is served."""
    assert echo(door.port, authority, authority.issue("pacs")) == "0x0000"


def test_tls_1_2_is_spoken(door: RunningDoor, authority: Authority) -> None:
    """BCP 195 asks for TLS 1.2 at least."""
    assert echo(door.port, authority, authority.issue("pacs"), ssl.TLSVersion.TLSv1_2) == "0x0000"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_older_tls_is_refused(door: RunningDoor, authority: Authority, version: ssl.TLSVersion) -> None:
    """A client that offers TLS 1.1 at most gets no connection, whatever it shows."""
    pacs = authority.issue("pacs")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(pacs.certificate, pacs.key)
    with (
        socket.create_connection(("127.0.0.1", door.port), timeout=5) as connection,
        pytest.raises(OSError, match=r"."),
    ):
        context.wrap_socket(connection)


def refused(door: RunningDoor) -> list[tuple[str, str]]:
    """Who was refused: the door notes it when its own handshake fails, which may be after the peer knows."""
    deadline = time.monotonic() + 30
    while not door.refused and time.monotonic() < deadline:
        time.sleep(0.01)
    return door.refused


def test_no_certificate_is_refused(door: RunningDoor, authority: Authority) -> None:
    """A peer that shows none is not served."""
    assert echo(door.port, authority, None) == "aborted"
    assert refused(door) == [("", "127.0.0.1")]


def test_an_expired_certificate_is_refused(door: RunningDoor, authority: Authority) -> None:
    """Nor one that shows an old one."""
    assert echo(door.port, authority, authority.issue("pacs", expired=True)) == "aborted"


def test_a_certificate_of_another_authority_is_refused(door: RunningDoor, authority: Authority, tmp_path: Path) -> None:
    """Nor one that somebody else vouches for."""
    assert echo(door.port, authority, Authority(tmp_path, "stranger").issue("pacs")) == "aborted"


def test_a_self_signed_certificate_is_refused(door: RunningDoor, authority: Authority, tmp_path: Path) -> None:
    """Nor one that vouches for itself, even in the name of the authority."""
    own = Authority(tmp_path / "own", "authority")
    assert echo(door.port, authority, own.itself()) == "aborted"
    assert refused(door) == [("", "127.0.0.1")]


def test_a_revoked_certificate_is_refused(door: RunningDoor, authority: Authority) -> None:
    """From the moment on at which the list says so, without a restart; others of the authority are served."""
    pacs, stolen = authority.issue("pacs"), authority.issue("stolen")
    assert [echo(door.port, authority, one) for one in (pacs, stolen)] == ["0x0000", "0x0000"]
    authority.revoke(stolen)
    assert [echo(door.port, authority, one) for one in (pacs, stolen)] == ["0x0000", "aborted"]
    assert refused(door) == [("", "127.0.0.1")]
    authority.revoke()
    assert echo(door.port, authority, stolen) == "0x0000"


def test_a_session_does_not_outlive_its_certificate(door: RunningDoor, authority: Authority) -> None:
    """A client cannot resume a session that it began before its certificate was revoked."""
    stolen = authority.issue("stolen")
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.load_cert_chain(stolen.certificate, stolen.key)
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def connect(session: ssl.SSLSession | None) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", door.port), timeout=5)
        try:
            return context.wrap_socket(plain, server_hostname="127.0.0.1", session=session)
        except OSError:
            plain.close()
            raise

    with connect(None) as first, connect(first.session) as second:
        assert second.session_reused
        authority.revoke(stolen)
        with pytest.raises(ssl.SSLError, match=r"(?i)revoked"):
            connect(first.session)


def test_a_list_that_is_not_valid_any_more_vouches_for_nobody(door: RunningDoor, authority: Authority) -> None:
    """Who holds the newest list back does not win time for a revoked certificate."""
    pacs = authority.issue("pacs")
    authority.revoke(days=-1)
    assert echo(door.port, authority, pacs) == "aborted"


def test_a_list_that_cannot_be_read_changes_nothing(door: RunningDoor, authority: Authority) -> None:
    """While it is being written, or where it is gone, the last one counts."""
    pacs, stolen = authority.issue("pacs"), authority.issue("stolen")
    path = authority.revoke(stolen)
    assert echo(door.port, authority, stolen) == "aborted"
    path.write_bytes(path.read_bytes()[:100])
    assert [echo(door.port, authority, one) for one in (pacs, stolen)] == ["0x0000", "aborted"]
    path.unlink()
    assert [echo(door.port, authority, one) for one in (pacs, stolen)] == ["0x0000", "aborted"]


def test_the_own_certificate_is_renewed_without_a_restart(door: RunningDoor, authority: Authority) -> None:
    """The next connection is shown the new one."""
    pacs, renewed = authority.issue("pacs"), authority.issue("door")
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.load_cert_chain(pacs.certificate, pacs.key)
    with (
        socket.create_connection(("127.0.0.1", door.port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        assert sha256(connection.getpeercert(binary_form=True) or b"").hexdigest() == renewed.sha256


def test_a_certificate_of_another_host_is_rejected(door: RunningDoor, authority: Authority) -> None:
    """AE title and certificate must belong together."""
    assert echo(door.port, authority, authority.issue("other", "192.0.2.7")) == "rejected"
    assert door.refused == [("PACS", "127.0.0.1")]


def test_a_registered_certificate_is_the_only_one(
    mongodb_url: str, database_name: str, tmp_path: Path, tls: ServerTls, authority: Authority
) -> None:
    """Where a peer's certificate is registered, another one for the same host will not do."""
    registered = authority.issue("registered", "192.0.2.7")
    peer = replace(PEER, certificate=registered.sha256)
    folder = tmp_path / "blobs"
    with opened(mongodb_url, database_name, folder, options=DoorOptions("HAYAT", tls), peers=[peer]) as running:
        assert echo(running.port, authority, registered) == "0x0000"
        assert echo(running.port, authority, authority.issue("pacs")) == "rejected"
        running.rows.database.client.drop_database(database_name)


def test_a_port_of_its_own(
    mongodb_url: str, database_name: str, tmp_path: Path, tls: ServerTls, authority: Authority
) -> None:
    """Devices of the house come in clear at the other port; a partner that speaks TLS itself may not."""
    far = replace(PEER, id="far", ae_title="FAR", tls=True)
    folder, options = tmp_path / "blobs", DoorOptions("HAYAT", tls)
    with opened(mongodb_url, database_name, folder, options=options, peers=[PEER, far], two_ports=True) as running:
        assert plain_echo(running.port) == "0x0000"
        assert plain_echo(running.port, calling="FAR") == "rejected"
        assert running.refused == [("FAR", "127.0.0.1")]
        assert echo(running.tls_port, authority, authority.issue("pacs")) == "0x0000"
        assert echo(running.tls_port, authority, authority.issue("far"), calling="FAR") == "0x0000"
        assert echo(running.tls_port, authority, None) == "aborted"
        running.rows.database.client.drop_database(database_name)


def test_stalled_handshakes_stop_nobody(door: RunningDoor, authority: Authority) -> None:
    """Clients that never finish their handshake keep nobody waiting, even a hundred of them."""
    pacs = authority.issue("pacs")
    sources = ["127.0.0.2"] * 50 + ["127.0.0.1"] * 50
    stalled = [socket.create_connection(("127.0.0.1", door.port), source_address=(one, 0)) for one in sources]
    for connection in stalled:
        connection.sendall(b"\x16\x03")
    begun = time.monotonic()

    assert echo(door.port, authority, pacs) == "0x0000"
    assert time.monotonic() - begun < 5
    for connection in stalled:
        connection.close()


def test_dicom_in_the_clear_is_closed(door: RunningDoor) -> None:
    """Who does not speak TLS is not answered in the clear."""
    with socket.create_connection(("127.0.0.1", door.port), timeout=5) as connection:
        connection.sendall(b"\x01\x00\x00\x00\x00\x44" + b"\0" * 68)
        try:
            received = connection.recv(100)
        except ConnectionResetError:
            received = b""
    assert received[:1] in {b"", b"\x15"}


def test_files_that_are_no_certificates_stop_the_start(tmp_path: Path) -> None:
    """The message names the setting."""
    with pytest.raises(ConfigurationError, match="HAYAT_DICOM_TLS_CERTIFICATE"):
        ServerTls(tmp_path / "missing.pem", tmp_path / "missing.key")


def test_files_that_hold_no_revocation_lists_stop_the_start(authority: Authority, tmp_path: Path) -> None:
    """Nor may such a file bring in an authority that nobody has chosen."""
    own, lists = authority.issue("door"), authority.revoke()
    both = tmp_path / "both.pem"
    both.write_bytes(lists.read_bytes() + Authority(tmp_path, "stranger").certificate.read_bytes())
    for file in (tmp_path / "missing.pem", own.key, authority.certificate, both):
        with pytest.raises(ConfigurationError, match="HAYAT_DICOM_TLS_CLIENT_CRL"):
            ServerTls(own.certificate, own.key, authority.certificate, file)
