"""The settings of one site: the only reader of the environment.

Every setting is an environment variable ``HAYAT_<NAME>``; an empty one counts as not set. A name that is not known,
and a combination that would open the site to the world, stop the start.
"""

from __future__ import annotations

import os
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import available_timezones

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from hayat_fhir.errors import ConfigurationError

PREFIX = "HAYAT_"
_OTHERS = 0o007
_MOST_DICOM_PROCESSES = 4
_WEAKENING = frozenset(
    {"w", "journal", "readconcernlevel", "readpreference", "tlsinsecure", "tlsallowinvalidcertificates"}
)
"""Options of a MongoDB URL that would undo a guarantee (lower case, as the driver compares them)."""


class Settings(BaseSettings):
    """All settings, checked and frozen."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    site_name: str = Field("Hayat", min_length=1, max_length=100)
    """The hospital's name, as partners and audit events show it."""
    http_host: str = "127.0.0.1"
    http_port: int = Field(8000, ge=1, le=65535)
    base_url: str = ""
    """The site's URL as others reach it, without a path; default ``http://<host>:<port>``."""
    dicom_host: str = "127.0.0.1"
    dicom_port: int = Field(11112, ge=1, le=65535)
    dicom_processes: int = Field(
        default_factory=lambda: min(_MOST_DICOM_PROCESSES, len(os.sched_getaffinity(0))), ge=1, le=64
    )
    """Processes that serve the DICOM port at most: one, until several peers send at the same time."""
    dicom_associations: int = Field(64, ge=1, le=1024)
    """Associations that each of these processes serves at the same time."""
    dicom_memory_mb: int = Field(2048, ge=512)
    """MB of memory that each of these processes may allocate, the stacks of its threads included."""
    dicom_tls_certificate: Path | None = None
    """The certificate chain (PEM) of the DICOM port, which then speaks TLS only; partners' ports are shown it too."""
    dicom_tls_key: Path | None = None
    dicom_tls_host: str = ""
    """Where the port for TLS listens; by default where the other one does."""
    dicom_tls_port: int | None = Field(None, ge=1, le=65535)
    """A port of its own for TLS: then the other one speaks in clear, to the devices of the house."""
    dicom_tls_client_ca: Path | None = None
    """The authorities (PEM) of whose certificates every DICOM peer must show one."""
    dicom_tls_client_crl: Path | None = None
    """The revocation lists (PEM) of all these authorities; the file is read again when it changes."""
    dicom_tls_server_ca: Path | None = None
    """The authorities (PEM) of partners' DICOM ports, where they are others than those of peers that come here."""
    disk_reserve_mb: int = Field(1024, ge=0)
    """MB of the disk under the data directory that images do not fill: there they are refused, for the time being."""
    ae_title: str = Field("HAYAT", pattern=r"^[\x21-\x5b\x5d-\x7e]([\x20-\x5b\x5d-\x7e]{0,14}[\x21-\x5b\x5d-\x7e])?$")
    data_dir: Path = Path("data")
    workers: int = Field(1, ge=1, le=64)
    """API processes."""
    mongodb_url: SecretStr | None = None
    """A replica set of MongoDB; without it the site runs an embedded mongod in its data directory."""
    patient_id_system: str = ""
    """The identifier system of this site's patient numbers; default ``<base_url>/identifier/patient``."""
    character_set: str = Field("ISO_IR 100", pattern=r"^(ISO_IR (13|100|101|109|110|126|127|138|144|148|166|203)|GBK)$")
    """The DICOM character set of text whose device declares none, and which is not UTF-8."""
    time_zone: str | None = None
    """IANA name of the zone in which the site's devices keep time; without it DICOM times stay dates."""
    access_token_seconds: int = Field(300, ge=10, le=3600)
    versioned_update: bool = False
    """Refuse an update over ``/fhir`` that does not say by If-Match which version it replaces."""
    session_seconds: int = Field(28800, ge=60, le=86400)
    """How long somebody who has signed in with a password stays so; signing out ends it at once."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses of reverse proxies that say in X-Forwarded-For whom they speak for: a JSON array."""
    cors_origins: tuple[str, ...] = ()
    """Origins of frontends that run elsewhere and may call ``/api/v1`` and open sockets: a JSON array."""
    study_quiet_seconds: float = Field(1.0, ge=0, le=600)
    """How long no image of a study must arrive before its ImagingStudy is rebuilt."""
    redis_url: SecretStr | None = None
    """A Redis over which several API processes hand one another chat messages; without it they use MongoDB."""
    ice_urls: tuple[str, ...] = ()
    """``stun:``, ``turn:`` and ``turns:`` URLs of the site's own servers: a JSON array; none by default."""
    ice_secret: SecretStr | None = None
    """Shared with the TURN server (coturn's ``static-auth-secret``): credentials are made from it, and end."""
    ice_seconds: int = Field(4 * 3600, ge=60, le=24 * 3600)
    ice_relay_only: bool = False
    """Have all media go through the TURN server, so that the two sides do not learn each other's address."""
    media_processes: int = Field(2, ge=0, le=64)
    """Device checks, recordings and relays at a time, of each API process; 0: none."""
    first_staff_email: str | None = None
    first_staff_password: SecretStr | None = None

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        if value is not None and value not in available_timezones():
            raise ValueError("not a time zone of the IANA database")
        return value

    @field_validator("mongodb_url")
    @classmethod
    def _guarded_mongodb(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        parts = urlsplit(value.get_secret_value())
        if parts.scheme not in {"mongodb", "mongodb+srv"} or not parts.netloc:
            raise ValueError("must begin with mongodb:// or mongodb+srv:// and name a host")
        if "@" not in parts.netloc and not all(_is_loopback(host) for host in parts.netloc.split(",")):
            raise ValueError("a MongoDB on another machine needs a user and a password")
        for name, _ in parse_qsl(parts.query, keep_blank_values=True):
            if name.lower() in _WEAKENING:
                raise ValueError("must not set write concern, read concern, read preference or insecure TLS")
        return value

    @field_validator("redis_url")
    @classmethod
    def _guarded_redis(cls, value: SecretStr | None) -> SecretStr | None:
        parts = urlsplit("" if value is None else value.get_secret_value())
        if value is None or parts.scheme == "unix":
            return value
        if parts.scheme not in {"redis", "rediss"} or not parts.hostname:
            raise ValueError("must begin with redis://, rediss:// or unix:// and name a host")
        if not _is_loopback(parts.netloc) and not parts.password:
            raise ValueError("a Redis on another machine needs a password")
        return value

    @field_validator("ice_urls")
    @classmethod
    def _are_ice_urls(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for url in value:
            if url.partition(":")[0] not in {"stun", "stuns", "turn", "turns"} or not url.partition(":")[2]:
                raise ValueError("must be stun:, turn: or turns: URLs")
        return value

    @model_validator(mode="after")
    def _safe(self) -> Self:
        base = urlsplit(self.site_url)
        if base.scheme not in {"http", "https"} or not base.hostname or "@" in base.netloc:
            raise ValueError("HAYAT_BASE_URL must be http(s)://host[:port]")
        if base.path.strip("/") or base.query or base.fragment:
            raise ValueError("HAYAT_BASE_URL must end after the port: the doors have their own paths")
        if not _is_loopback(self.http_host) and base.scheme != "https":
            raise ValueError("HAYAT_HTTP_HOST beyond this machine needs a TLS proxy and an https HAYAT_BASE_URL")
        if base.scheme == "http" and not _is_loopback(base.netloc):
            raise ValueError("HAYAT_BASE_URL must be https, unless it is of this machine")
        if (self.first_staff_email is None) != (self.first_staff_password is None):
            raise ValueError("HAYAT_FIRST_STAFF_EMAIL and HAYAT_FIRST_STAFF_PASSWORD go together")
        if (self.dicom_tls_certificate is None) != (self.dicom_tls_key is None):
            raise ValueError("HAYAT_DICOM_TLS_CERTIFICATE and HAYAT_DICOM_TLS_KEY go together")
        if self.dicom_tls_port is not None and self.dicom_tls_certificate is None:
            raise ValueError("HAYAT_DICOM_TLS_PORT needs HAYAT_DICOM_TLS_CERTIFICATE")
        if self.dicom_tls_client_ca is not None and self.dicom_tls_certificate is None:
            raise ValueError("HAYAT_DICOM_TLS_CLIENT_CA needs HAYAT_DICOM_TLS_CERTIFICATE")
        if self.dicom_tls_client_crl is not None and self.dicom_tls_client_ca is None:
            raise ValueError("HAYAT_DICOM_TLS_CLIENT_CRL needs HAYAT_DICOM_TLS_CLIENT_CA")
        if any(url.startswith("turn") for url in self.ice_urls) != (self.ice_secret is not None):
            raise ValueError("HAYAT_ICE_SECRET and a turn: URL in HAYAT_ICE_URLS go together")
        if self.ice_relay_only and self.ice_secret is None:
            raise ValueError("HAYAT_ICE_RELAY_ONLY needs a TURN server in HAYAT_ICE_URLS")
        ports = [self.http_port, *(port for _, _, port in self.dicom_ports)]
        if len(ports) != len(set(ports)):
            raise ValueError("HAYAT_HTTP_PORT, HAYAT_DICOM_PORT and HAYAT_DICOM_TLS_PORT must differ")
        return self

    @property
    def dicom_ports(self) -> list[tuple[str, str, int]]:
        """Setting, host and port of the DICOM port, and of the one for TLS where there are two."""
        ports = [("HAYAT_DICOM_PORT", self.dicom_host, self.dicom_port)]
        if self.dicom_tls_port is not None:
            ports.append(("HAYAT_DICOM_TLS_PORT", self.dicom_tls_host or self.dicom_host, self.dicom_tls_port))
        return ports

    @property
    def dicom_tls_client(self) -> tuple[Path | None, Path | None, Path | None, Path | None]:
        """What partners' DICOM ports are spoken to with: certificate, key, their authorities, and revocation lists."""
        own = self.dicom_tls_certificate, self.dicom_tls_key
        if self.dicom_tls_server_ca is not None:
            return *own, self.dicom_tls_server_ca, None
        return *own, self.dicom_tls_client_ca, self.dicom_tls_client_crl

    @property
    def site_url(self) -> str:
        """The site's URL, without a slash at the end."""
        host = f"[{self.http_host}]" if ":" in self.http_host else self.http_host
        return self.base_url.rstrip("/") or f"http://{host}:{self.http_port}"

    @property
    def default_photo_url(self) -> str:
        """The picture of a doctor who has given none."""
        return f"{self.site_url}/api/v1/photo/default"

    @property
    def fhir_url(self) -> str:
        """The base URL of the FHIR door."""
        return f"{self.site_url}/fhir"

    @property
    def own_patient_id_system(self) -> str:
        """The identifier system of this site's patient numbers."""
        return self.patient_id_system or f"{self.site_url}/identifier/patient"

    @property
    def origins(self) -> list[str]:
        """The origins whose pages may use the site: its own, by any name of this machine, and those of the settings."""
        own = urlsplit(self.site_url)
        port = f":{own.port}" if own.port else ""
        names = ["127.0.0.1", "localhost"] if _is_loopback(own.netloc) else []
        return [self.site_url, *(f"{own.scheme}://{name}{port}" for name in names), *self.cors_origins]

    @property
    def secrets_dir(self) -> Path:
        """Where the site's keys are."""
        return self.data_dir / "secrets"

    def environment(self) -> dict[str, str]:
        """The environment for a child process: this one's, with what the command line has changed."""
        changed = {"HTTP_PORT": self.http_port, "DICOM_PORT": self.dicom_port, "DATA_DIR": self.data_dir}
        return {**os.environ, **{f"{PREFIX}{name}": str(value) for name, value in changed.items()}}


def load(**overrides: Any) -> Settings:  # noqa: ANN401 - settings of any type
    """The settings of the environment; ``overrides`` that are None do not count.

    Raises:
        ConfigurationError: A setting is unknown, malformed or unsafe; the message names it, never its value.
    """
    _refuse_unknown()
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = Settings(**given)
    except ValidationError as error:
        finding = error.errors(include_input=False, include_url=False, include_context=False)[0]
        setting = f"{PREFIX}{str(finding['loc'][0]).upper()}: " if finding["loc"] else ""
        raise ConfigurationError(f"{setting}{finding['msg'].removeprefix('Value error, ')}") from None
    data_dir = settings.data_dir.absolute()
    if data_dir.exists() and not data_dir.is_dir():
        raise ConfigurationError(f"HAYAT_DATA_DIR: {data_dir} is not a directory")
    if data_dir.exists() and data_dir.stat().st_mode & _OTHERS:
        raise ConfigurationError(f"HAYAT_DATA_DIR: {data_dir} must not be open to other users (chmod o-rwx)")
    return settings.model_copy(update={"data_dir": data_dir})


def _refuse_unknown() -> None:
    """Raise ConfigurationError where the environment has a HAYAT_ variable that is no setting."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for name in os.environ:
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            close = get_close_matches(name.upper(), known, 1, 0.8)
            raise ConfigurationError(f"{name}: no such setting" + (f"; did you mean {close[0]}?" if close else ""))


def _is_loopback(host: str) -> bool:
    """Whether a host, or the host of ``user@host:port``, is this machine."""
    for name in (host, urlsplit(f"//{host}").hostname or ""):
        if name == "localhost":
            return True
        try:
            return ip_address(name).is_loopback
        except ValueError:
            continue
    return False
