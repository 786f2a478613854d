"""The ``hayat`` command line, run as a person runs it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from joserfc.jwk import ECKey

from hayat_fhir.demonstration_site import free_port
from hayat_fhir.store.mongod import find_mongod
from tests.family import Family, environment, hayat, serving, wait_until

_PASSWORD = "violet-marmot-47-lantern"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Family]:
    """A running site."""
    with serving(tmp_path_factory.mktemp("site")) as family:
        yield family


def _ok(site: Family, *arguments: str, stdin: str = "") -> str:
    done = hayat(site.environment, *arguments, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _refused(environment: dict[str, str], *arguments: str, stdin: str = "", status: int = 1) -> str:
    """The one line that the command says on standard error."""
    done = hayat(environment, *arguments, stdin=stdin)
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("hayat: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_help_is_at_once() -> None:
    """``hayat --help`` costs little and imports no database, web or DICOM library."""
    heavy = ["pymongo", "fastapi", "starlette", "pydicom", "pynetdicom", "fhir", "pydantic", "joserfc"]
    source = (
        "import sys; sys.argv = ['hayat', '--help']\n"
        "from hayat_fhir.__main__ import cli\n"
        "try: cli()\n"
        f"finally: print('HEAVY', sorted(set(sys.modules) & set({heavy!r})), file=sys.stderr)\n"
    )
    before = os.times()
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    after = os.times()
    assert "HEAVY []" in done.stderr
    for command in (
        "serve",
        "api",
        "dimse",
        "worker",
        "account",
        "partner",
        "token",
        "share",
        "outbox",
        "reindex",
        "check",
        "demo",
    ):
        assert f"\n  {command}" in done.stdout
    used = after.children_user + after.children_system - before.children_user - before.children_system
    assert used < 0.5


def test_check_finds_everything_sound(tmp_path: Path) -> None:
    """Settings, definitions and mappings, without a database."""
    done = hayat(environment(tmp_path), "check")
    assert (done.returncode, done.stdout) == (0, "settings, definitions and mappings are sound\n")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("file", "old", "new", "place"),
    [
        ("api-v1/patient.toml", 'path = "birthDate"', 'path = "birthday"', "field birthdate: path"),
        ("api-v1/patient.toml", 'transform = "human_name"', 'transform = "eval"', "field[0].transform"),
        ("api-v1/staff.toml", 'codes = "legacy_gender"', 'codes = "none"', "codes"),
        ("codes/legacy_gender.toml", "code", "cdoe", "Male"),
        ("api-v1/doctor.toml", "[[field]]", "[[field]", "doctor.toml"),
    ],
)
def test_check_names_a_mistake_in_a_mapping(tmp_path: Path, file: str, old: str, new: str, place: str) -> None:
    """What a hospital edits wrongly is told by file and key, and would stop the start."""
    root = Path(__file__).parents[1]
    for folder in ("hayat_fhir", "mappings", "conformance"):
        shutil.copytree(root / folder, tmp_path / folder, ignore=shutil.ignore_patterns("frontend", "__pycache__"))
    edited = tmp_path / "mappings" / file
    text = edited.read_text()
    assert old in text
    edited.write_text(text.replace(old, new, 1))
    command = [sys.executable, "-m", "hayat_fhir", "check"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("hayat: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert Path(file).name in done.stderr
    assert place in done.stderr


def test_check_refuses_an_unknown_setting(tmp_path: Path) -> None:
    """With its name and status 2."""
    line = _refused(environment(tmp_path, HAYAT_NO_AUTH="1"), "check", status=2)
    assert "HAYAT_NO_AUTH" in line


def test_accounts_are_added_listed_and_shut_out(site: Family) -> None:
    """An account gets tokens that work until it is disabled; its password is in no output."""
    add = ("account", "add", "--role", "staff", "--email", "s@hospital.example", "--name", "Sam", "--password-stdin")
    id = _ok(site, *add, stdin=f"{_PASSWORD}\r\n")
    [row] = [line.split("\t") for line in _ok(site, "account", "list").splitlines() if id in line]
    assert (row[1], row[2], row[3], row[5]) == ("staff", "s@hospital.example", "Sam", "active")
    token = _ok(site, "token", "--email", "s@hospital.example")
    url = f"http://127.0.0.1:{site.port}/fhir/Practitioner"
    assert httpx.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=10).status_code == httpx.codes.OK
    assert "e-mail address" in _refused(site.environment, *add, stdin=f"{_PASSWORD}\n")
    _ok(site, "account", "disable", "--email", "s@hospital.example")
    assert "disabled" in _ok(site, "account", "list")
    _refused(site.environment, "token", "--email", "s@hospital.example")


def test_passwords_come_from_standard_input_only(site: Family) -> None:
    """Without --password-stdin nothing is added, and a weak one is refused without being shown."""
    add = ("account", "add", "--role", "doctor", "--email", "d@hospital.example", "--name", "D")
    assert "--password-stdin" in _refused(site.environment, *add, status=2)
    line = _refused(site.environment, *add, "--password-stdin", stdin="hunter2\n")
    assert "characters" in line
    assert "hunter2" not in line
    assert "d@hospital.example" not in _ok(site, "account", "list")


def test_roles_are_three(site: Family) -> None:
    """Any other is a usage error."""
    add = ("account", "add", "--role", "root", "--email", "r@hospital.example", "--name", "R", "--password-stdin")
    done = hayat(site.environment, *add, stdin=f"{_PASSWORD}\n")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_partners_are_added_named_and_shut_out(site: Family, tmp_path: Path) -> None:
    """A partner is known by its name and by its id; scopes narrow its token; disabled, it gets none."""
    keys = tmp_path / "jwks.json"
    key = ECKey.generate_key("P-384", auto_kid=True)
    keys.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    id = _ok(
        site,
        *("partner", "add", "--name", "North Hospital", "--jwks-file", str(keys)),
        *("--fhir-url", "https://north.example/fhir", "--ae-title", "NORTH", "--host", "127.0.0.1", "--port", "104"),
        *("--scope", "system/Patient.rs", "--scope", "system/Observation.cruds"),
        *("--patient-id-system", "https://north.example/patients"),
    )
    [row] = [line.split("\t") for line in _ok(site, "partner", "list").splitlines() if id in line]
    assert row[1:] == ["North Hospital", "https://north.example/fhir", "NORTH@127.0.0.1:104", "active"]
    assert _ok(site, "token", "--partner", "North Hospital").count(".") == 2
    assert _ok(site, "token", "--partner", id, "--scope", "system/Patient.r").count(".") == 2
    _refused(site.environment, "token", "--partner", id, "--scope", "system/Encounter.r")
    _ok(site, "partner", "disable", "North Hospital")
    _refused(site.environment, "token", "--partner", "North Hospital")
    _ok(site, "partner", "enable", "North Hospital")
    assert _ok(site, "token", "--partner", "North Hospital").count(".") == 2


def test_partners_are_changed_and_tried(site: Family, tmp_path: Path) -> None:
    """What is not said stays; keys are replaced; a door that is not there is told of, and one that is not TLS."""
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps({"keys": [ECKey.generate_key("P-384", auto_kid=True).as_dict(private=False)]}))
    port = site.environment["HAYAT_DICOM_PORT"]
    named = ("--name", "East Hospital", "--jwks-url", "https://east.example/jwks.json")
    id = _ok(site, "partner", "add", *named, "--ae-title", "EAST", "--host", "127.0.0.1", "--port", "9")
    assert _ok(site, "partner", "test", id).split()[:2] == ["dicom", "unreachable"]
    _ok(site, "partner", "change", "East Hospital", "--port", port, "--tls", "--jwks-file", str(keys))
    [row] = [line.split("\t") for line in _ok(site, "partner", "list").splitlines() if id in line]
    assert row[1:] == ["East Hospital", "", f"EAST@127.0.0.1:{port} TLS", "active"]
    assert "does not speak TLS" in _ok(site, "partner", "test", id)
    _ok(site, "partner", "change", id, "--no-tls")
    assert "refused" in _ok(site, "partner", "test", id)
    assert "AE title" in _refused(site.environment, "partner", "change", id, "--ae-title", "seventeen letters")


def test_what_is_not_there_is_said_in_one_line(site: Family, tmp_path: Path) -> None:
    """Unknown partners, patients and key files; no traceback."""
    pacs = ("--ae-title", "PACS", "--host", "127.0.0.1", "--port", "104")
    _ok(site, "partner", "add", "--name", "PACS", *pacs, "--tls")
    assert "PACS@127.0.0.1:104 TLS" in _ok(site, "partner", "list")
    assert "no such partner" in _refused(site.environment, "share", "--patient", "1", "--with", "Nobody")
    assert "no such patient" in _refused(site.environment, "share", "--patient", "1", "--with", "PACS")
    missing = str(tmp_path / "missing.json")
    assert "missing.json" in _refused(site.environment, "partner", "add", "--name", "X", "--jwks-file", missing)
    (tmp_path / "bad.json").write_text("[")
    bad = str(tmp_path / "bad.json")
    assert "not JSON" in _refused(site.environment, "partner", "add", "--name", "X", "--jwks-file", bad)
    changed = ("partner", "change", "PACS", "--certificate", bad)
    assert "not a certificate" in _refused(site.environment, *changed, status=2)
    assert "either" in _refused(site.environment, "token", status=2)


def test_a_share_waits_in_the_outbox(site: Family) -> None:
    """A share to a partner that is down is accepted, and visible with its state."""
    _ok(site, "partner", "add", "--name", "South Hospital", "--fhir-url", "http://127.0.0.1:9/fhir")
    hayat(
        site.environment,
        *("account", "add", "--role", "patient", "--email", "p@hospital.example", "--name", "P", "--password-stdin"),
        stdin=f"{_PASSWORD}\n",
    )
    [row] = [line.split("\t") for line in _ok(site, "account", "list").splitlines() if "p@hospital.example" in line]
    patient = row[4].removeprefix("Patient/")
    job, state = _ok(site, "share", "--patient", patient, "--with", "South Hospital").split()
    assert state in {"waiting", "running"}
    [line] = [line for line in _ok(site, "outbox", "list").splitlines() if line.startswith(job)]
    assert line.split("\t")[1].startswith(patient)


def test_commands_work_while_the_site_is_down(tmp_path: Path) -> None:
    """A database is started for the moment and ended again; what was written is there the next time."""
    own = environment(tmp_path)
    add = ("account", "add", "--role", "doctor", "--email", "d@hospital.example", "--name", "D", "--password-stdin")
    assert hayat(own, *add, stdin=f"{_PASSWORD}\n").returncode == 0
    assert "d@hospital.example" in hayat(own, "account", "list").stdout


def test_a_mongodb_that_does_not_answer_is_said_in_one_line(tmp_path: Path) -> None:
    """With status 1, so that whoever supervises tries again."""
    own = environment(tmp_path, HAYAT_MONGODB_URL="mongodb://127.0.0.1:9/?replicaSet=x&serverSelectionTimeoutMS=500")
    _refused(own, "account", "list")


@pytest.fixture
def standalone_mongodb(tmp_path: Path) -> Iterator[str]:
    """A mongod that is no replica set and asks for no password."""
    (tmp_path / "db").mkdir()
    port = free_port()
    options = ["--dbpath", str(tmp_path / "db"), "--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket"]
    process = subprocess.Popen([str(find_mongod()), *options], stdout=subprocess.DEVNULL)
    try:
        yield f"mongodb://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait()


def test_a_standalone_mongodb_is_refused(tmp_path: Path, standalone_mongodb: str) -> None:
    """It has no transactions, and no majority; the start stops with status 2."""
    own = environment(tmp_path, HAYAT_MONGODB_URL=standalone_mongodb)
    assert "replica set" in _refused(own, "account", "list", status=2)
    assert "replica set" in hayat(own, "serve").stderr


def test_a_wrong_database_password_is_said_in_one_line(tmp_path: Path, mongodb_url: str) -> None:
    """Neither the password nor a traceback is shown."""
    wrong = re.sub(r":[^:@]+@", ":not-the-password@", mongodb_url)
    line = _refused(environment(tmp_path, HAYAT_MONGODB_URL=wrong), "account", "list", status=2)
    assert "not-the-password" not in line


@pytest.mark.parametrize("command", ["account list", "dimse"])
def test_a_malformed_mongodb_url_is_said_in_one_line(tmp_path: Path, command: str) -> None:
    """With the setting's name and without its value."""
    own = environment(tmp_path, HAYAT_MONGODB_URL="mongodb://user:not%the@password@127.0.0.1/?replicaSet=x")
    line = _refused(own, *command.split(), status=2)
    assert "HAYAT_MONGODB_URL" in line
    assert "password" not in line


def test_a_lost_password_and_a_right(site: Family) -> None:
    """A code sets a new password once; a right is granted by its name; an account can be let in again."""
    email = "lost@site.example"
    added = ("account", "add", "--role", "doctor", "--email", email, "--name", "Lost", "--password-stdin")
    _ok(site, *added, stdin=f"{_PASSWORD}\n")
    code = _ok(site, "account", "reset", "--email", email)
    base = f"http://127.0.0.1:{site.port}/api/v1"
    body = {"email": email, "code": code, "password": "amber-heron-93-compass"}
    assert httpx.post(f"{base}/auth/reset", json=body, trust_env=False).status_code == 204
    assert httpx.post(f"{base}/auth/reset", json=body, trust_env=False).status_code == 401
    login = {"email": email, "password": "amber-heron-93-compass"}
    assert httpx.post(f"{base}/doctor/login", json=login, trust_env=False).status_code == 200
    _ok(site, "account", "rights", "--email", email, "--right", "records:amend")
    assert "records:amend" in _refused(site.environment, "account", "rights", "--email", email, "--right", "all")
    _ok(site, "account", "disable", "--email", email)
    assert httpx.post(f"{base}/doctor/login", json=login, trust_env=False).status_code == 401
    _ok(site, "account", "enable", "--email", email)
    assert httpx.post(f"{base}/doctor/login", json=login, trust_env=False).status_code == 200
    assert "no such account" in _refused(site.environment, "account", "reset", "--email", "nobody@site.example")


def test_keys_are_rotated(site: Family) -> None:
    """The site signs with a new key; tokens of the old one stay good."""
    email = "keys@site.example"
    added = ("account", "add", "--role", "staff", "--email", email, "--name", "Keys", "--password-stdin")
    _ok(site, *added, stdin=f"{_PASSWORD}\n")
    old = _ok(site, "token", "--email", email)
    _ok(site, "keys", "rotate")
    new = _ok(site, "token", "--email", email)
    assert old.partition(".")[0] != new.partition(".")[0]
    for token in (old, new):
        head = {"authorization": f"Bearer {token}"}
        wait_until(
            lambda head=head: httpx.get(f"http://127.0.0.1:{site.port}/api/v1/auth", headers=head).status_code == 200
        )


def test_the_quarantine_is_listed_and_resolved(site: Family) -> None:
    """An empty list is no line; a decision needs an entry that is there and words that mean something."""
    assert _ok(site, "quarantine", "list") == ""
    assert _ok(site, "quarantine", "list", "--state", "any") == ""
    assert "no such entry" in _refused(site.environment, "quarantine", "show", "nothing")
    resolve = ("quarantine", "resolve", "--reason", "x")
    assert "no such entry" in _refused(site.environment, *resolve, "--decision", "accept", "nothing")
    assert "accept or reject" in _refused(site.environment, *resolve, "--decision", "drop", "nothing", status=2)
    assert "either an entry or a study" in _refused(site.environment, *resolve, "--decision", "reject")
    assert "the states are" in _refused(site.environment, "quarantine", "list", "--state", "nonsense")
    assert _ok(site, "quarantine", "reverse", "--reason", "x", "--study", "1.2.3") == ""
