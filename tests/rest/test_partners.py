"""Partner hospitals over HTTP: registered, changed and tried by the staff, and by nobody else."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import httpx
from joserfc.jwk import ECKey
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from tests.dimse.authority import Authority

from .conftest import PatientClient, RunningSite


def _body(**values: str | int | bool) -> dict[str, Any]:
    kinds = {bool: "valueBoolean", int: "valueInteger", str: "valueString"}
    parameter = [{"name": name.replace("_", "-"), kinds[type(value)]: value} for name, value in values.items()]
    return {"resourceType": "Parameters", "parameter": parameter}


def _values(parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters of an answer by name."""
    return {
        one["name"]: next((value for key, value in one.items() if key.startswith("value")), one.get("part"))
        for one in parameters["parameter"]
    }


def _keys(**more: Any) -> str:
    key = ECKey.generate_key("P-384", auto_kid=True)
    return json.dumps({"keys": [{**key.as_dict(private=bool(more)), "use": "sig", "alg": "ES384"}]})


async def _registered(staff: httpx.AsyncClient, **values: str | int | bool) -> str:
    answer = await staff.post("/Organization/$partners", json=_body(**values))
    assert answer.status_code == 201, answer.text
    id: str = answer.json()["id"]
    return id


async def test_partners_are_looked_after_by_the_staff(
    staff: httpx.AsyncClient,
    doctor: httpx.AsyncClient,
    partner: httpx.AsyncClient,
    one: PatientClient,
    site: RunningSite,
) -> None:
    """Doctors, patients and partners are refused, whatever they ask."""
    for client in (doctor, partner, one.http):
        assert (await client.get("/Organization/$partners")).status_code == 403
        assert (await client.post("/Organization/$partners", json=_body(name="X"))).status_code == 403
        for name in ("$partner", "$test-connection"):
            assert (await client.post(f"/Organization/{site.partner}/{name}")).status_code == 403
    assert (await staff.get("/Organization/$partners")).status_code == 200


async def test_a_partner_is_registered_and_told_of(staff: httpx.AsyncClient, unique: str) -> None:
    """The answer and the list say what is registered; its keys by name only; Organization and Endpoint are there."""
    url = f"https://{unique}.example/fhir"
    id = await _registered(
        staff, name=f"North {unique}", fhir_url=url, jwks=_keys(), ae_title=unique[:16], host="192.0.2.7", port=104
    )
    bundle = (await staff.get("/Organization/$partners")).json()
    [found] = [entry["resource"] for entry in bundle["entry"] if entry["resource"]["id"] == id]
    values = _values(found)
    assert values["organization"] == {"reference": f"Organization/{id}", "display": f"North {unique}"}
    assert (values["fhir-url"], values["client-id"], values["disabled"]) == (url, url, False)
    assert (values["ae-title"], values["host"], values["port"]) == (unique[:16], "192.0.2.7", 104)
    assert values["tls"] is False
    assert values["key"].endswith("(EC)")
    endpoints = (await staff.get("/Endpoint", params={"organization": f"Organization/{id}"})).json()
    assert [entry["resource"]["address"] for entry in endpoints["entry"]] == [url]


async def test_what_will_not_do_is_refused(staff: httpx.AsyncClient, unique: str) -> None:
    """Private keys, odd URLs, hosts and ports, unknown parameters, a name that is taken."""
    await _registered(staff, name=f"Taken {unique}")
    cases: list[tuple[dict[str, Any], int]] = [
        ({"name": f"Taken {unique}"}, 409),
        ({"name": "A", "jwks": _keys(private=True)}, 400),
        ({"name": "A", "jwks": '{"keys": []}'}, 400),
        ({"name": "A", "jwks": "no JSON"}, 400),
        ({"name": "A", "jwks": _keys(), "jwks_url": "https://a.example/jwks"}, 400),
        ({"name": "A", "fhir_url": "file:///etc/passwd"}, 400),
        ({"name": "A", "ae_title": "A", "host": "169.254.169.254", "port": 80}, 400),
        ({"name": "A", "ae_title": "A", "host": "224.0.0.1", "port": 80}, 400),
        ({"name": "A", "ae_title": "A", "host": "a..example", "port": 104}, 400),
        ({"name": "A", "ae_title": "A", "host": f"{'a' * 64}.example", "port": 104}, 400),
        ({"name": "A", "ae_title": "A", "host": "a.example", "port": 65536}, 400),
        ({"name": "A", "ae_title": "A", "host": "a.example"}, 400),
        ({"name": "A", "ae_title": "seventeen letters", "host": "a.example", "port": 104}, 400),
        ({"name": "A", "ae_title": "A", "host": "a.example", "port": 104, "tls": "perhaps"}, 400),
        ({"name": "A", "certificate": "no PEM"}, 400),
        ({"name": "A", "certificate": "ab" * 31}, 400),
        ({"name": "A", "certificate": "a" * 70_000}, 400),
        ({"name": "A", "colour": "blue"}, 400),
        ({"fhir_url": "https://a.example/fhir"}, 400),
    ]
    for values, status in cases:
        answer = await staff.post("/Organization/$partners", json=_body(**values))
        assert answer.status_code == status, (values, answer.text)


async def test_a_certificate_is_known_by_its_digest(staff: httpx.AsyncClient, unique: str, tmp_path: Path) -> None:
    """It is given in PEM, with what stands around it and after it, or as its SHA-256; an empty one takes it away."""
    authority = Authority(tmp_path, "authority")
    issued = authority.issue("north")
    chain = f"Subject: CN=north\n{issued.certificate.read_text()}\r\n{authority.certificate.read_text()}"
    id = await _registered(staff, name=f"Certain {unique}", certificate=chain)
    colons = ":".join(issued.sha256[at : at + 2].upper() for at in range(0, 64, 2))
    for given in (chain, issued.sha256, colons, f"sha256 Fingerprint={colons}\n"):
        values = _values((await staff.post(f"/Organization/{id}/$partner", json=_body(certificate=given))).json())
        assert values["certificate"] == issued.sha256
    values = _values((await staff.post(f"/Organization/{id}/$partner", json=_body(certificate=""))).json())
    assert "certificate" not in values


async def test_keys_are_replaced_and_revoked(
    staff: httpx.AsyncClient, anonymous: httpx.AsyncClient, unique: str
) -> None:
    """The list names the keys that count now."""
    id = await _registered(staff, name=f"Keys {unique}", jwks=_keys())
    first = _values((await staff.post(f"/Organization/{id}/$partner", json=_body(jwks=_keys()))).json())
    again = _values((await staff.post(f"/Organization/{id}/$partner", json=_body(jwks=_keys()))).json())
    assert first["key"] != again["key"]
    url = "https://keys.example/jwks.json"
    by_url = _values((await staff.post(f"/Organization/{id}/$partner", json=_body(jwks_url=url))).json())
    assert (by_url["jwks-url"], "key" in by_url) == (url, False)
    none = _values((await staff.post(f"/Organization/{id}/$partner", json=_body(revoke_keys=True))).json())
    assert not {"key", "jwks-url"} & none.keys()
    both = await staff.post(f"/Organization/{id}/$partner", json=_body(jwks=_keys(), jwks_url=url))
    assert both.status_code == 400
    assert (await staff.post("/Organization/nobody/$partner", json=_body(disabled=True))).status_code == 404


async def test_a_disabled_partner_is_told_so(staff: httpx.AsyncClient, unique: str) -> None:
    """Its Endpoint is suspended, until it is let in again; it cannot be tried meanwhile."""
    id = await _registered(staff, name=f"Off {unique}", fhir_url="http://127.0.0.1:9/fhir", client_id=unique)
    for disabled, status in ((True, "suspended"), (False, "active")):
        answer = await staff.post(f"/Organization/{id}/$partner", json=_body(disabled=disabled))
        assert _values(answer.json())["disabled"] is disabled
        endpoints = (await staff.get("/Endpoint", params={"organization": f"Organization/{id}"})).json()
        assert [entry["resource"]["status"] for entry in endpoints["entry"]] == [status]
        tried = await staff.post(f"/Organization/{id}/$test-connection")
        assert tried.status_code == (409 if disabled else 200)


async def test_a_partners_doors_are_tried(staff: httpx.AsyncClient, site: RunningSite, unique: str) -> None:
    """A real [base]/metadata and a real C-ECHO; then nobody is there any more; then what answers is no FHIR server."""
    ae = AE(ae_title="ECHO")
    ae.add_supported_context(Verification)
    server = ae.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    port = server.socket.getsockname()[1]
    doors: dict[str, Any] = {"ae_title": unique[:16], "host": "127.0.0.1", "port": port}
    id = await _registered(staff, name=f"Doors {unique}", fhir_url=f"{site.url}/fhir", client_id=unique, **doors)
    try:
        tried = _values((await staff.post(f"/Organization/{id}/$test-connection")).json())
    finally:
        server.shutdown()
    assert tried["dicom"] == [{"name": "outcome", "valueCode": "passed"}]
    assert tried["fhir"][0]["valueCode"] == "passed"
    assert tried["fhir"][1]["valueString"] == "4.0.1"
    changed = await staff.post(f"/Organization/{id}/$partner", json=_body(fhir_url=f"{site.url}/health"))
    assert changed.status_code == 200, changed.text
    tried = _values((await staff.post(f"/Organization/{id}/$test-connection")).json())
    assert tried["dicom"][0]["valueCode"] == "unreachable"
    assert tried["fhir"][0]["valueCode"] == "refused"


async def test_a_port_that_is_to_speak_tls_and_does_not(staff: httpx.AsyncClient, unique: str) -> None:
    """The trial says so; taken back, the port is spoken to in clear again."""
    ae = AE(ae_title="ECHO")
    ae.add_supported_context(Verification)
    server = ae.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    door: dict[str, Any] = {"ae_title": unique[:16], "host": "127.0.0.1", "port": server.socket.getsockname()[1]}
    try:
        id = await _registered(staff, name=f"Secret {unique}", tls=True, **door)
        tried = _values((await staff.post(f"/Organization/{id}/$test-connection")).json())
        assert tried["dicom"][0]["valueCode"] == "refused"
        assert "TLS" in tried["dicom"][1]["valueString"]
        changed = _values((await staff.post(f"/Organization/{id}/$partner", json=_body(tls=False))).json())
        assert changed["tls"] is False
        tried = _values((await staff.post(f"/Organization/{id}/$test-connection")).json())
        assert tried["dicom"] == [{"name": "outcome", "valueCode": "passed"}]
    finally:
        server.shutdown()


async def test_a_door_that_refuses_is_told_apart(staff: httpx.AsyncClient, unique: str) -> None:
    """A DICOM port that wants another AE title; an address that is not https is not called at all."""
    ae = AE(ae_title="SOMEBODY_ELSE")
    ae.require_called_aet = True
    ae.add_supported_context(Verification)
    server = ae.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    with socket.create_server(("127.0.0.1", 0)) as unused:
        spare = unused.getsockname()[1]
    id = await _registered(
        staff,
        name=f"Refusing {unique}",
        fhir_url=f"http://localhost.example:{spare}/fhir",
        ae_title=unique[:16],
        host="127.0.0.1",
        port=server.socket.getsockname()[1],
    )
    try:
        tried = _values((await staff.post(f"/Organization/{id}/$test-connection")).json())
    finally:
        server.shutdown()
    assert tried["dicom"][0]["valueCode"] == "refused"
    assert "AE title" in tried["dicom"][1]["valueString"]
    assert tried["fhir"][0]["valueCode"] == "refused"
    assert "https" in tried["fhir"][1]["valueString"]
