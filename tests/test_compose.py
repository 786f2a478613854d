"""docker-compose.yml: a site in containers, closed to the outside as far as its file decides."""

from __future__ import annotations

import ast
import re
import shlex
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from hayat_fhir.__main__ import app
from hayat_fhir.errors import ConfigurationError
from hayat_fhir.settings import PREFIX, Settings, load

_ROOT = Path(__file__).parents[1]
_TEXT = (_ROOT / "docker-compose.yml").read_text()
_ENVIRONMENT = {
    "HAYAT_BASE_URL": "https://fhir.hospital.example",
    "MONGODB_ROOT_PASSWORD": "5d0f7f0b",
    "MONGODB_PASSWORD": "c0ffee12",
}
_VARIABLE = re.compile(r"\$(?:(?P<escaped>\$)|\{(?P<name>\w+)(?:(?P<operator>:[-?])(?P<word>[^}]*))?\})")
_PROCESSES = ("api", "dimse", "worker")


def interpolated(node: Any, environment: dict[str, str]) -> Any:
    """Fill variables into the texts of a parsed file as Compose does; KeyError for a required one that is missing."""

    def value(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        found = environment.get(match["name"], "")
        if found or match["operator"] is None:
            return found
        if match["operator"] == ":?":
            raise KeyError(match["name"])
        return match["word"]

    if isinstance(node, dict):
        return {key: interpolated(child, environment) for key, child in node.items()}
    if isinstance(node, list):
        return [interpolated(child, environment) for child in node]
    return _VARIABLE.sub(value, node) if isinstance(node, str) else node


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file as Compose reads it, merged and with its variables filled in."""
    parsed: dict[str, Any] = interpolated(yaml.safe_load(_TEXT), _ENVIRONMENT)
    return parsed


@pytest.mark.parametrize("missing", sorted(_ENVIRONMENT))
def test_it_does_not_start_without_its_secrets_and_url(missing: str) -> None:
    """No default password, and no site without a URL."""
    with pytest.raises(KeyError, match=missing):
        interpolated(yaml.safe_load(_TEXT), {name: value for name, value in _ENVIRONMENT.items() if name != missing})


def test_its_variables_are_settings(compose: dict[str, Any]) -> None:
    """Every HAYAT_ name in the file, comments included, is one of the settings."""
    names = set(re.findall(r"\bHAYAT_[A-Z_]+", _TEXT))
    assert names <= {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    assert {"HAYAT_BASE_URL", "HAYAT_MONGODB_URL", "HAYAT_DATA_DIR"} <= names
    assert set(_PROCESSES) < set(compose["services"])


@pytest.mark.parametrize("name", _PROCESSES)
def test_each_process_takes_its_settings(
    compose: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The environment of each container loads as Settings, with MongoDB's credentials and an https URL."""
    environment = {**compose["services"][name]["environment"], "HAYAT_DATA_DIR": str(tmp_path)}
    tmp_path.chmod(0o700)
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    settings = load()
    assert settings.site_url == _ENVIRONMENT["HAYAT_BASE_URL"]
    assert settings.mongodb_url is not None
    assert "@mongodb:27017" in settings.mongodb_url.get_secret_value()
    monkeypatch.setenv("HAYAT_BASE_URL", "http://fhir.hospital.example")
    with pytest.raises(ConfigurationError):
        load()


@pytest.mark.parametrize("name", _PROCESSES)
def test_each_process_runs_a_command_without_privileges(compose: dict[str, Any], name: str) -> None:
    """The command exists; capabilities are dropped, the user is not root, and it waits for MongoDB to be set up."""
    service = compose["services"][name]
    assert service["command"] == [name]
    assert name in get_command(app).commands  # type: ignore[attr-defined]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["depends_on"]["mongodb-init"]["condition"] == "service_completed_successfully"
    assert service["volumes"] == [f"site:{service['environment']['HAYAT_DATA_DIR']}"]
    last_stage = service["build"]["dockerfile_inline"].split("FROM ")[-1]
    assert "\nUSER 10001:10001\n" in last_stage


def test_ports_are_published_on_the_loopback_interface(compose: dict[str, Any]) -> None:
    """Nobody beyond this machine comes in until somebody decides so; MongoDB is not published at all."""
    published = {name: service.get("ports", []) for name, service in compose["services"].items()}
    assert published == {
        "mongodb": [],
        "mongodb-init": [],
        "api": ["127.0.0.1:8000:8000"],
        "dimse": ["127.0.0.1:11112:11112"],
        "worker": [],
        "coturn": [],
    }
    assert compose["services"]["mongodb"]["networks"] == ["database"]
    assert compose["networks"]["database"]["internal"] is True


def test_mongodb_is_a_replica_set_with_authentication(compose: dict[str, Any]) -> None:
    """A key file, which implies authorisation; a replica set that the init step initiates; a health check."""
    mongodb = compose["services"]["mongodb"]
    assert mongodb["image"].startswith("mongo:8")
    command = mongodb["command"]
    key = command[command.index("--keyFile") + 1]
    assert command[command.index("--replSet") + 1] == "hayat"
    assert f"key={key}" in mongodb["entrypoint"][2]
    assert mongodb["healthcheck"]["test"][0] == "CMD"
    init = compose["services"]["mongodb-init"]
    assert init["configs"] == [{"source": "mongodb-init", "target": "/init.js"}]
    script = compose["configs"]["mongodb-init"]["content"]
    assert 'replSetInitiate: { _id: "hayat"' in script
    used = set(re.findall(r"process\.env\.(\w+)", script))
    assert used == set(init["environment"])
    assert not any(password in script for password in _ENVIRONMENT.values())


def test_the_turn_server_relays_to_no_inner_network(compose: dict[str, Any]) -> None:
    """Credentials that end, no static user, and no way to loopback, private or link-local addresses."""
    coturn = compose["services"]["coturn"]
    assert coturn["profiles"] == ["turn"]
    (script,) = coturn["command"]
    assert "--use-auth-secret" in script
    assert "--user=" not in script
    denied = [tuple(map(ip_address, pair.split("-"))) for pair in re.findall(r"--denied-peer-ip=(\S+-\S+)", script)]
    for inner in ("127.0.0.1", "10.1.2.3", "169.254.169.254", "172.20.0.2", "192.168.1.1", "fd00::1", "fe80::1"):
        address = ip_address(inner)
        assert any(low.version == address.version and int(low) <= int(address) <= int(high) for low, high in denied), (
            inner
        )


def test_everything_named_is_there(compose: dict[str, Any]) -> None:
    """Volumes, networks and services that are referred to are defined, and those defined are used."""
    services = compose["services"].values()
    volumes = {volume.split(":")[0] for service in services for volume in service.get("volumes", [])}
    networks = {network for service in services for network in service.get("networks", [])}
    needed = {name for service in services for name in service.get("depends_on", {})}
    assert volumes == set(compose["volumes"])
    assert networks == set(compose["networks"])
    assert needed <= set(compose["services"])


def test_the_image_is_built_from_what_is_in_the_repository(compose: dict[str, Any]) -> None:
    """Every copied path exists, and every installation is checked against the hashes of a lock file."""
    dockerfile = compose["services"]["api"]["build"]["dockerfile_inline"].replace("\\\n", " ")
    for line in dockerfile.splitlines():
        words = shlex.split(line)
        if words[:1] == ["COPY"] and not words[1].startswith("--from"):
            assert all((_ROOT / path).exists() for path in words[1:-1]), line
        for installation in re.findall(r"pip install ([^&]*)", line):
            assert "--require-hashes" in installation or "--no-deps /tmp/wheel" in installation
    assert "ENV PATH=/opt/hayat/bin:$PATH" in dockerfile


@pytest.mark.parametrize("name", ["api", "dimse"])
def test_health_checks_ask_the_right_port(compose: dict[str, Any], name: str) -> None:
    """They are valid Python, and name the port on which the process listens."""
    service = compose["services"][name]
    command, flag, source = service["healthcheck"]["test"][1:]
    assert (command, flag) == ("python", "-c")
    ast.parse(source)
    setting = "HAYAT_HTTP_PORT" if name == "api" else "HAYAT_DICOM_PORT"
    assert service["environment"][setting] in source
