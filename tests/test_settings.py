"""Settings: defaults, names, and the combinations that stop the start."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

import hayat_fhir
from hayat_fhir.errors import ConfigurationError
from hayat_fhir.settings import Settings, load

_SECRET = "kestrel-71-umbra-quarry"
_PACKAGE = Path(hayat_fhir.__file__).parent


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of whoever runs the tests, and a data directory of this test."""
    import os

    for name in list(os.environ):
        if name.upper().startswith("HAYAT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HAYAT_DATA_DIR", str(tmp_path / "data"))


def test_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A site without any setting is on this machine only, with its data in ./data."""
    monkeypatch.delenv("HAYAT_DATA_DIR")
    monkeypatch.chdir(tmp_path)
    settings = load()
    assert (settings.http_host, settings.http_port) == ("127.0.0.1", 8000)
    assert (settings.dicom_host, settings.dicom_port, settings.ae_title) == ("127.0.0.1", 11112, "HAYAT")
    assert settings.dicom_processes == min(4, len(os.sched_getaffinity(0)))
    assert settings.data_dir == tmp_path / "data"
    assert settings.mongodb_url is None
    assert settings.fhir_url == "http://127.0.0.1:8000/fhir"
    assert settings.own_patient_id_system == "http://127.0.0.1:8000/identifier/patient"


def test_options_of_the_command_line_win_over_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And reach the environment of child processes; what was not given does not count."""
    monkeypatch.setenv("HAYAT_HTTP_PORT", "8001")
    monkeypatch.setenv("HAYAT_SITE_NAME", "North")
    settings = load(http_port=8002, dicom_port=None, data_dir=tmp_path / "other")
    assert (settings.http_port, settings.dicom_port, settings.site_name) == (8002, 11112, "North")
    environment = settings.environment()
    assert environment["HAYAT_HTTP_PORT"] == "8002"
    assert environment["HAYAT_DATA_DIR"] == str(tmp_path / "other")
    assert environment["HAYAT_SITE_NAME"] == "North"


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Compose files leave them."""
    monkeypatch.setenv("HAYAT_TIME_ZONE", "")
    monkeypatch.setenv("HAYAT_HTTP_PORT", "")
    assert (load().time_zone, load().http_port) == (None, 8000)


def test_settings_are_frozen() -> None:
    """Nobody changes them after the start."""
    with pytest.raises(ValueError, match="frozen"):
        load().http_port = 1


@pytest.mark.parametrize("name", ["HAYAT_HTTP_PROT", "HAYAT_DISABLE_AUTH", "hayat_nonsense", "HAYAT_TEST"])
def test_an_unknown_setting_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A misspelt setting must not be ignored; its value is not shown."""
    monkeypatch.setenv(name, _SECRET)
    with pytest.raises(ConfigurationError, match=name) as refused:
        load()
    assert _SECRET not in str(refused.value)


def test_a_misspelt_setting_comes_with_the_right_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it is mended at once."""
    monkeypatch.setenv("HAYAT_HTTP_PROT", "1")
    with pytest.raises(ConfigurationError, match="did you mean HAYAT_HTTP_PORT"):
        load()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"HTTP_PORT": "0"}, "HAYAT_HTTP_PORT"),
        ({"HTTP_PORT": "web"}, "HAYAT_HTTP_PORT"),
        ({"DICOM_PORT": "65536"}, "HAYAT_DICOM_PORT"),
        ({"HTTP_PORT": "9000", "DICOM_PORT": "9000"}, "must differ"),
        ({"AE_TITLE": "SEVENTEEN_LETTERS"}, "HAYAT_AE_TITLE"),
        ({"AE_TITLE": "BACK\\SLASH"}, "HAYAT_AE_TITLE"),
        ({"WORKERS": "0"}, "HAYAT_WORKERS"),
        ({"TIME_ZONE": "Mars/Olympus"}, "HAYAT_TIME_ZONE"),
        ({"ACCESS_TOKEN_SECONDS": "86400"}, "HAYAT_ACCESS_TOKEN_SECONDS"),
        ({"HTTP_HOST": "::"}, "https HAYAT_BASE_URL"),
        ({"HTTP_HOST": "192.0.2.1", "BASE_URL": "http://192.0.2.1:8000"}, "https HAYAT_BASE_URL"),
        ({"BASE_URL": "http://hospital.example"}, "must be https"),
        ({"BASE_URL": "http://localhost.hospital.example"}, "must be https"),
        ({"BASE_URL": "ftp://localhost"}, "HAYAT_BASE_URL"),
        ({"BASE_URL": "https://hospital.example/fhir"}, "own paths"),
        ({"BASE_URL": "https://hospital.example?x=1"}, "own paths"),
        ({"BASE_URL": f"https://user:{_SECRET}@hospital.example"}, "HAYAT_BASE_URL"),
        ({"MONGODB_URL": "mongodb://db.hospital.example"}, "user and a password"),
        ({"MONGODB_URL": "mongodb://127.0.0.1,db.hospital.example:27017/"}, "user and a password"),
        ({"MONGODB_URL": f"postgres://u:{_SECRET}@db"}, "HAYAT_MONGODB_URL"),
        ({"MONGODB_URL": f"mongodb://u:{_SECRET}@db/?w=0"}, "write concern"),
        ({"MONGODB_URL": f"mongodb://u:{_SECRET}@db/?tls=true&tlsAllowInvalidCertificates=true"}, "insecure TLS"),
        ({"DICOM_TLS_PORT": "2762"}, "HAYAT_DICOM_TLS_CERTIFICATE"),
        ({"DICOM_TLS_CERTIFICATE": "c", "DICOM_TLS_KEY": "k", "DICOM_TLS_PORT": "11112"}, "must differ"),
        ({"DICOM_TLS_CERTIFICATE": "door.pem"}, "go together"),
        ({"DICOM_TLS_CLIENT_CA": "authorities.pem"}, "needs HAYAT_DICOM_TLS_CERTIFICATE"),
        ({"DICOM_TLS_CLIENT_CRL": "revoked.pem"}, "needs HAYAT_DICOM_TLS_CLIENT_CA"),
        ({"FIRST_STAFF_EMAIL": "s@hospital.example"}, "go together"),
        ({"FIRST_STAFF_PASSWORD": _SECRET}, "go together"),
    ],
)
def test_malformed_and_unsafe_settings_are_refused(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], message: str
) -> None:
    """The message names the setting or the rule, never a secret."""
    for name, value in settings.items():
        monkeypatch.setenv(f"HAYAT_{name}", value)
    with pytest.raises(ConfigurationError, match=message) as refused:
        load()
    assert _SECRET not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    "settings",
    [
        {"HTTP_HOST": "::", "BASE_URL": "https://hospital.example"},
        {"HTTP_HOST": "::1"},
        {"BASE_URL": "http://localhost:9000/"},
        {"BASE_URL": "http://[::1]:9000"},
        {"MONGODB_URL": "mongodb://127.0.0.1:27017,localhost:27018/?replicaSet=rs"},
        {"MONGODB_URL": f"mongodb://u:{_SECRET}@db.hospital.example/?replicaSet=rs&tls=true"},
        {"TIME_ZONE": "Europe/Istanbul"},
        {"AE_TITLE": "A B"},
        {"DICOM_TLS_CERTIFICATE": "c.pem", "DICOM_TLS_KEY": "k.pem", "DICOM_TLS_PORT": "2762"},
    ],
)
def test_safe_settings_are_taken(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    """Beyond this machine: https and credentials."""
    for name, value in settings.items():
        monkeypatch.setenv(f"HAYAT_{name}", value)
    assert not load().site_url.endswith("/")


def test_partners_ports_are_trusted_by_the_same_authorities_unless_others_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The revocation lists are of the authorities of peers that come here, and go with these alone."""
    for name in ("CERTIFICATE", "KEY", "CLIENT_CA", "CLIENT_CRL"):
        monkeypatch.setenv(f"HAYAT_DICOM_TLS_{name}", name)
    assert load().dicom_tls_client == tuple(map(Path, ("CERTIFICATE", "KEY", "CLIENT_CA", "CLIENT_CRL")))
    monkeypatch.setenv("HAYAT_DICOM_TLS_SERVER_CA", "SERVER_CA")
    assert load().dicom_tls_client == (*map(Path, ("CERTIFICATE", "KEY", "SERVER_CA")), None)


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the text nor in the JSON of the settings."""
    monkeypatch.setenv("HAYAT_MONGODB_URL", f"mongodb://u:{_SECRET}@db.hospital.example/")
    monkeypatch.setenv("HAYAT_FIRST_STAFF_EMAIL", "s@hospital.example")
    monkeypatch.setenv("HAYAT_FIRST_STAFF_PASSWORD", _SECRET)
    settings = load()
    assert _SECRET not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_a_data_directory_open_to_others_is_refused(tmp_path: Path) -> None:
    """And one that is a file."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    with pytest.raises(ConfigurationError, match=r"HAYAT_DATA_DIR.*chmod"):
        load()
    folder.chmod(0o750)
    assert load().data_dir == folder
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="not a directory"):
        load(data_dir=tmp_path / "file")


def test_only_this_module_reads_the_environment() -> None:
    """``os.environ`` and its relatives stand in settings.py only."""
    readers = {"environ", "environb", "getenv", "getenvb"}
    found = {
        path.relative_to(_PACKAGE).as_posix()
        for path in _PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if (isinstance(node, ast.Attribute) and node.attr in readers)
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and readers & {alias.name for alias in node.names})
    }
    assert found == {"settings.py"}


def test_every_setting_has_a_safe_default() -> None:
    """A start needs no setting at all."""
    assert all(not field.is_required() for field in Settings.model_fields.values())


@pytest.mark.parametrize("url", ["http://127.0.0.1", "redis:///17", _SECRET, "redis://cache.hospital.example:6379/0"])
def test_a_redis_that_others_could_use_stops_the_start(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Whoever can write to it can say anything to the sockets; the message does not show the URL."""
    monkeypatch.setenv("HAYAT_REDIS_URL", url)
    with pytest.raises(ConfigurationError, match="HAYAT_REDIS_URL") as refused:
        load()
    assert url not in str(refused.value)


@pytest.mark.parametrize("url", ["redis://127.0.0.1:6379/0", f"rediss://:{_SECRET}@cache.hospital.example/0"])
def test_a_guarded_redis_is_taken(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """One on this machine, or with a password."""
    monkeypatch.setenv("HAYAT_REDIS_URL", url)
    redis_url = load().redis_url
    assert redis_url is not None
    assert redis_url.get_secret_value() == url
