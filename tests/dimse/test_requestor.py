"""What this site does with partners' DICOM ports that speak TLS, pretend to, or behave badly."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pynetdicom import build_context
from pynetdicom.sop_class import Verification

from hayat_fhir.dimse.requestor import Requestor
from hayat_fhir.dimse.sender import send
from hayat_fhir.dimse.suboperations import Outgoing
from hayat_fhir.dimse.tls import ClientTls
from hayat_fhir.dimse.verification import PartnerVerification
from hayat_fhir.errors import ConfigurationError, Unavailable, Unprocessable
from hayat_fhir.store.partners import Partner

from . import raw
from .authority import Authority, Issued
from .orthanc import free_port

PARTNER = Partner(id="archive", name="Archive", client_id="archive", ae_title="ARCHIVE", host="127.0.0.1", tls=True)
CT = Path(str(get_testdata_file("CT_small.dcm")))


@pytest.fixture
def requestor(authority: Authority) -> Requestor:
    """This site, with a certificate of its own."""
    own = authority.issue("hayat")
    return Requestor("HAYAT", ClientTls(own.certificate, own.key, authority.certificate, authority.revoke()))


@contextmanager
def storescp(folder: Path, authority: Authority | None = None, own: Issued | None = None) -> Iterator[Partner]:
    """DCMTK's storescp, over TLS with client certificates where there are certificates; skips without DCMTK."""
    program = shutil.which("storescp")
    if program is None:
        pytest.skip("storescp (DCMTK) is not installed")
    folder.mkdir()
    port = free_port()
    tls: list[str] = []
    if authority is not None and own is not None:
        tls = ["+tls", str(own.key), str(own.certificate), "+cf", str(authority.certificate), "-rc"]
    command = [program, *tls, "--bit-preserving", "-aet", "ARCHIVE", "-od", str(folder), str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.05)
            yield replace(PARTNER, port=port, tls=bool(tls))
        finally:
            process.kill()


def images(count: int) -> list[Outgoing]:
    """The same image so many times, under other UIDs."""
    read = dcmread(str(CT), stop_before_pixels=True)
    offset = CT.read_bytes().index(b"\x08\x00\x05\x00")  # the data set begins with (0008,0005)
    size = CT.stat().st_size - offset
    syntax = str(read.file_meta.TransferSyntaxUID)
    return [Outgoing(f"1.2.3.{n}", str(read.SOPClassUID), syntax, CT, offset, size) for n in range(count)]


def _allowed() -> None:
    """Every image may be sent."""


def test_images_go_to_storescp_over_tls(tmp_path: Path, authority: Authority, requestor: Requestor) -> None:
    """It asks for this site's certificate; what it keeps is what was sent, to the byte."""
    statuses: list[int] = []
    sent = images(20)
    with storescp(tmp_path / "in", authority, authority.issue("archive")) as partner:
        send(sent, partner, requestor, _allowed, lambda _, status: statuses.append(status))
        kept = [path.read_bytes() for path in (tmp_path / "in").iterdir()]
    assert statuses == [0x0000] * 20
    digest = sha256(CT.read_bytes()[sent[0].offset :]).hexdigest()
    assert [sha256(one[-sent[0].size :]).hexdigest() for one in kept] == [digest] * 20


def test_c_echo_over_tls(tmp_path: Path, authority: Authority, requestor: Requestor) -> None:
    """The staff's trial of a connection; without a certificate of this site the partner refuses."""
    with storescp(tmp_path / "in", authority, authority.issue("archive")) as partner:
        asyncio.run(PartnerVerification(requestor).echo(partner))
        unknown = Requestor("HAYAT", ClientTls(authorities=authority.certificate))
        with pytest.raises(Unprocessable, match="certificate"):
            asyncio.run(PartnerVerification(unknown).echo(partner))


def _expired(authority: Authority, _: Path) -> Issued:
    return authority.issue("archive", expired=True)


def _of_another_host(authority: Authority, _: Path) -> Issued:
    return authority.issue("archive", "192.0.2.7")


def _of_a_stranger(_: Authority, folder: Path) -> Issued:
    return Authority(folder / "strange", "stranger").issue("archive")


def _revoked(authority: Authority, _: Path) -> Issued:
    issued = authority.issue("archive")
    authority.revoke(issued)
    return issued


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        (_expired, "expired"),
        (_of_another_host, "IP address mismatch"),
        (_of_a_stranger, "unable to get local issuer"),
        (_revoked, "revoked"),
    ],
)
def test_a_certificate_that_does_not_count(
    tmp_path: Path, authority: Authority, requestor: Requestor, shown: Callable[[Authority, Path], Issued], reason: str
) -> None:
    """Nothing is sent, and the reason is told."""
    with storescp(tmp_path / "in", authority, shown(authority, tmp_path)) as partner:
        with pytest.raises(Unavailable, match=reason):
            send(images(1), partner, requestor, _allowed, lambda *_: None)
        assert list((tmp_path / "in").iterdir()) == []


def test_a_registered_certificate_is_the_only_one(tmp_path: Path, authority: Authority, requestor: Requestor) -> None:
    """It counts whatever host it is for, and no other one of this host does."""
    own = authority.issue("archive", "192.0.2.7")
    with storescp(tmp_path / "in", authority, own) as partner:
        send(images(1), replace(partner, certificate=own.sha256), requestor, _allowed, lambda *_: None)
        other = replace(partner, certificate=authority.issue("other").sha256)
        with pytest.raises(Unavailable, match="registered"):
            send(images(1), other, requestor, _allowed, lambda *_: None)
        assert len(list((tmp_path / "in").iterdir())) == 1


def test_a_port_in_clear_is_not_spoken_to_in_clear(requestor: Requestor) -> None:
    """Who is registered with TLS gets a ClientHello, and nothing where it does not answer to that."""
    received = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def take() -> None:
            connection, _ = listening.accept()
            with connection, suppress(ConnectionError):
                received.extend(connection.recv(4096))
                connection.sendall(raw.pdu(raw.ABORT, b"\0\0\2\1"))
                while more := connection.recv(4096):
                    received.extend(more)

        thread = threading.Thread(target=take)
        thread.start()
        with pytest.raises(Unprocessable, match="does not speak TLS"):
            requestor.association(replace(PARTNER, port=listening.getsockname()[1]), [build_context(Verification)])
        thread.join()
    assert received[:2] == b"\x16\x03"
    assert b"ARCHIVE" not in received


def test_nobody_is_there(requestor: Requestor) -> None:
    """No connection is told apart from a refusal."""
    with pytest.raises(Unavailable, match="nothing takes a connection"):
        requestor.association(replace(PARTNER, port=free_port()), [build_context(Verification)])


def test_files_that_are_no_certificates_stop_the_start(tmp_path: Path) -> None:
    """The message names the setting."""
    with pytest.raises(ConfigurationError, match="HAYAT_DICOM_TLS_SERVER_CA"):
        ClientTls(authorities=tmp_path / "missing.pem")


@contextmanager
def accepting(then: Callable[[raw.Raw], None]) -> Iterator[Partner]:
    """A partner that accepts one association, in clear, and then does this."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                peer = raw.Raw(connection)
                _, body = peer.receive()
                peer.send(raw.associate_ac(body))
                then(peer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield replace(PARTNER, port=listening.getsockname()[1], tls=False)
        finally:
            thread.join()


def test_a_partner_that_announces_too_much_is_left(requestor: Requestor) -> None:
    """Not a byte of a PDU of four gigabytes is taken."""
    sent = threading.Event()

    def announce(peer: raw.Raw) -> None:
        peer.receive()
        peer.send(raw.pdu(raw.DATA, b"")[:2] + b"\xff\xff\xff\xff")
        sent.set()
        while peer.receive()[0]:
            pass

    begun = time.monotonic()
    with accepting(announce) as partner, pytest.raises(Unavailable):
        send(images(1), partner, requestor, _allowed, lambda *_: None)
    assert sent.is_set()
    assert time.monotonic() - begun < 20


def test_a_partner_that_does_not_read_is_left(authority: Authority, tmp_path: Path) -> None:
    """It accepts the association and lets the image wait: after its time the association is over."""
    impatient = Requestor("HAYAT", ClientTls(), pdu_seconds=1)
    large = tmp_path / "large"
    large.write_bytes(bytes(64 << 20))
    over = threading.Event()

    def wait(_: raw.Raw) -> None:
        over.wait(60)

    with accepting(wait) as partner:
        with pytest.raises(Unavailable):
            send(
                [replace(images(1)[0], path=large, offset=0, size=64 << 20)],
                partner,
                impatient,
                _allowed,
                lambda *_: None,
            )
        over.set()
