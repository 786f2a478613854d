"""The door itself: origins, tokens, bodies, pictures, paths; and that no refusal shows what was sent."""

from __future__ import annotations

import base64
import io
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from PIL import Image

from hayat_fhir.api_v1.callers import Callers
from hayat_fhir.errors import Throttled
from tests.api_v1.conftest import ORIGIN, Person, RunningSite, doctor_document, patient_document, record_document

_CANARY = "Qxzzv-canary-7731"


def _png(size: tuple[int, int] = (800, 600), **options: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "#336699").save(out, options.pop("format", "PNG"), **options)
    return out.getvalue()


def test_cross_origin_requests(anonymous: httpx.Client) -> None:
    """The frontend's origin may call with a token in a header; no other origin is let in, and none with credentials."""
    ask = {"access-control-request-method": "PUT", "access-control-request-headers": "x-acess-token"}
    good = anonymous.options("/patient/x", headers={"origin": ORIGIN, **ask})
    assert good.status_code == 200
    assert good.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-credentials" not in good.headers
    for origin in ("null", "https://evil.example", f"{ORIGIN}.evil.example", "http://localhost:30001"):
        assert (
            "access-control-allow-origin"
            not in anonymous.options("/patient/x", headers={"origin": origin, **ask}).headers
        )
        assert "access-control-allow-origin" not in anonymous.get("/auth", headers={"origin": origin}).headers
    refused = anonymous.get("/specialization/", headers={"origin": ORIGIN})
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == ORIGIN


def test_no_cookie_is_a_token(anonymous: httpx.Client, patient: Person) -> None:
    """What a browser sends by itself opens nothing, so no other site can use it."""
    token = patient.http.headers["x-acess-token"]
    head = {"cookie": f"token={token}; x-acess-token={token}"}
    assert anonymous.get("/auth", headers=head).status_code == 401
    assert anonymous.get(f"/auth?token={token}").status_code == 401


def _altered(token: str, **changes: object) -> str:
    head, body, signature = token.split(".")
    content = json.loads(base64.urlsafe_b64decode(head + "=="))
    content.update(changes)
    return f"{base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b'=').decode()}.{body}.{signature}"


def test_forged_tokens(anonymous: httpx.Client, patient: Person) -> None:
    """No signature, another algorithm, a key that the token brings along, another role: 401."""
    token = patient.http.headers["x-acess-token"]
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["role"] = "staff"
    staff = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    forged = [
        f"{head}.{body}.",
        f"{head}.{staff}.{signature}",
        _altered(token, alg="none"),
        _altered(token, alg="nOnE"),
        _altered(token, alg="HS256"),
        _altered(token, kid="../../dev/null"),
        _altered(token, jku="https://evil.example/jwks"),
        _altered(token, jwk={"kty": "oct", "k": "AA"}),
        _altered(token, crit=["x"]),
        token + "=",
        "a.b.c",
        "x" * 100_000,
    ]
    for text in forged:
        answer = anonymous.get("/auth", headers={"authorization": f"Bearer {text[:60_000]}"})
        assert answer.status_code in {401, 431, 400}
        assert answer.status_code != 200


def test_answers_are_not_stored(patient: Person) -> None:
    """No cache keeps what is about a patient."""
    assert patient.http.get(f"/patient/{patient.id}").headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/", 404),
        ("GET", "", 404),
        ("PATCH", "/patient/x", 405),
        ("POST", "/patient/x", 405),
        ("GET", "/patient/login", 404),
        ("DELETE", "/auth", 405),
        ("GET", "/patient/..%2Fstaff", 404),
        ("GET", "/patient/%00", 404),
        ("GET", "/patient/a%0D%0Ab", 404),
        ("GET", "/patient/" + "x" * 65, 404),
        ("GET", "/photo/" + "0" * 64, 404),
    ],
)
def test_paths_that_lead_nowhere(staff: Person, method: str, path: str, status: int) -> None:
    """An answer in the envelope, for what is not there and for what cannot be done."""
    answer = staff.http.request(method, path)
    assert answer.status_code == status, answer.text
    assert answer.json()["status"] == "fail"


def test_other_versions_are_nowhere(site: RunningSite) -> None:
    """Only /api/v1 is there."""
    for path in ("/api", "/api/", "/api/v2/patient", "/api/v1x/patient", "/api/v1/../v1/nothing"):
        assert httpx.get(f"{site.url}{path}", trust_env=False).status_code == 404


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", 7),
        ("name", ["a"]),
        ("name", {"$gt": ""}),
        ("name", "x" * 201),
        ("name", "a\u0007b"),
        ("name", "   "),
        ("name", None),
        ("email", "no address"),
        ("email", "a@b@c.example"),
        ("gender", "male"),
        ("gender", ["Male"]),
        ("birthdate", "1990-02-30"),
        ("birthdate", "yesterday"),
        ("birthdate", 19900101),
        ("birthdate", "1990-01-01T10:00:00Z"),
        ("IDcard", -1),
        ("IDcard", 1.5),
        ("IDcard", True),
        ("IDcard", 10**18),
        ("IDcard", "12a"),
        ("relative", "brother"),
        ("relative", {"age": 3}),
        ("relative", {"name": {"$ne": 1}}),
        ("bloodType", "AB+"),
        ("bloodType", "X"),
    ],
)
def test_malformed_fields(staff: Person, field: str, value: object) -> None:
    """The field is named, the value is not; nothing has been stored."""
    document = {**patient_document(name=_CANARY), field: value}
    answer = staff.http.post("/patient", json=document)
    assert answer.status_code == 400, answer.text
    content = answer.json()
    assert field in {error["field"].partition(".")[0] for error in content["errors"]}
    assert field in content["message"]
    assert _CANARY not in answer.text
    assert staff.http.get("/patient", params={"name": _CANARY}).json()["result"] == 0


def test_every_bad_field_is_named_at_once(staff: Person) -> None:
    """Whoever fills in a form learns all that is wrong with it."""
    answer = staff.http.post("/patient", json={"name": 7, "gender": "x"}).json()
    named = {error["field"] for error in answer["errors"]}
    assert named == {"name", "gender", "email", "password", "phone", "birthdate", "IDcard"}


def test_references_lead_somewhere(doctor: Person, staff: Person, patient: Person) -> None:
    """A record names a patient who is there; a doctor a specialization that is."""
    for wrong in ("nothing", "Patient/x", {"$ne": None}, "../x"):
        answer = doctor.http.post("/medicalRecord", json={**record_document(doctor.id, patient.id), "patient": wrong})
        assert answer.status_code == 400
    assert staff.http.post("/doctor", json=doctor_document("nothing")).status_code == 400


def test_a_picture(site: RunningSite, staff: Person, anonymous: httpx.Client, specialization: str) -> None:
    """A doctor's picture comes in a form, is encoded anew without what else was in it, and has an address for ever."""
    metadata = Image.Exif()
    metadata[0x010E] = _CANARY
    jpeg = _png((3000, 2000), format="JPEG", exif=metadata)
    assert _CANARY.encode() in jpeg
    fields = {name: str(value) for name, value in doctor_document(specialization).items()}
    answer = staff.http.post("/doctor/", data=fields, files={"photo": ("x.png", jpeg, "text/html")})
    assert answer.status_code == 201, answer.text
    url = answer.json()["data"]["photo"]
    assert url.startswith(f"{site.url}/api/v1/photo/")
    picture = httpx.get(url, trust_env=False)
    assert picture.headers["content-type"] == "image/jpeg"
    assert "immutable" in picture.headers["cache-control"]
    assert _CANARY.encode() not in picture.content
    with Image.open(io.BytesIO(picture.content)) as image:
        assert image.size == (512, 341)
    default = anonymous.get("/photo/default")
    assert default.headers["content-type"] == "image/jpeg"
    for name in ("photo", "file"):
        for junk in (b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a", b"\x89PNG\r\n\x1a\n", jpeg[:2000]):
            fields["email"] = "other@doctor.example"
            refused = staff.http.post("/doctor/", data=fields, files={name: ("x.png", junk, "image/png")})
            assert refused.status_code == 400
    bomb = _png((20_000, 20_000))
    assert staff.http.post("/doctor/", data=fields, files={"photo": ("x.png", bomb)}).status_code == 400
    large = staff.http.post("/doctor/", data=fields, files={"photo": ("x.png", b"x" * 7 * 2**20)})
    assert large.status_code == 413
    elsewhere = staff.http.post("/doctor/", json={**doctor_document(specialization), "photo": "https://evil.example/x"})
    assert elsewhere.status_code == 400


def test_a_form_without_a_picture(site: RunningSite, doctor: Person) -> None:
    """The edit form sends texts, the picture's address as it was read, and no file."""
    read = doctor.http.get(f"/doctor/{doctor.id}").json()["data"]
    form = {"phone": "+20 77", "photo": read["photo"], "specialization": read["specialization"]["_id"]}
    answer = doctor.http.put(f"/doctor/{doctor.id}", files={name: (None, value) for name, value in form.items()})
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["phone"] == "+20 77"
    whole = {name: value for name, value in read.items() if name != "phone"}
    assert doctor.http.put(f"/doctor/{doctor.id}", json=whole).status_code == 200
    assert doctor.http.get(f"/doctor/{doctor.id}").json()["data"]["phone"] == "+20 77"


@pytest.mark.parametrize("reason", ["", "x" * 501])
def test_a_reason_has_a_form(doctor: Person, patient: Person, reason: str) -> None:
    """Why a record is deleted is said in up to 500 characters, or not at all."""
    record = doctor.http.post("/medicalRecord", json=record_document(doctor.id, patient.id)).json()["data"]
    answer = doctor.http.delete(f"/medicalRecord/{record['_id']}", params={"reason": reason})
    assert answer.status_code == 400
    assert doctor.http.get(f"/medicalRecord/{record['_id']}").status_code == 200


def test_two_updates_at_once_both_count(doctor: Person, patient: Person) -> None:
    """Fields that different people change at the same time are all changed."""
    record = doctor.http.post("/medicalRecord", json=record_document(doctor.id, patient.id)).json()["data"]
    path = f"/medicalRecord/{record['_id']}"
    changes = [{"illness": "changed"}, {"peDiagnosis": "changed"}, {"treatment": "changed"}, {"history": "changed"}]
    with ThreadPoolExecutor(4) as several:
        answers = list(several.map(lambda change: doctor.http.put(path, json=change), changes))
    assert {answer.status_code for answer in answers} == {200}
    read = doctor.http.get(path).json()["data"]
    assert {read[name] for change in changes for name in change} == {"changed"}


def test_too_many_requests(site: RunningSite, doctor: Person) -> None:
    """Whoever asks without end is told to wait, and may ask again afterwards."""
    callers = Callers(site.opened.authentication)

    def ask(times: int) -> None:
        for _ in range(times):
            callers.count("somebody")

    ask(900)
    with pytest.raises(Throttled):
        ask(4000)
    callers.count("somebody else")
