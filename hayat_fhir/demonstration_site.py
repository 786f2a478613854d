"""One hospital of the demonstration: a ``hayat serve`` of its own, spoken to as a person would."""

from __future__ import annotations

import secrets
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from hayat_fhir.errors import HayatError

_PATIENCE = 180.0
"""Seconds: a bound for what hangs, far beyond what a slow machine needs."""

_YOUNG = 60.0
"""Seconds for which a token is used again."""


class DemonstrationFailed(HayatError):
    """A step of the demonstration did not do what it should; the message says which."""


def free_port() -> int:
    """A TCP port of the loopback interface that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Site:
    """One hospital: a ``hayat serve`` of its own, with its own folder and ports."""

    name: str
    ae_title: str
    folder: Path
    http_port: int = field(default_factory=free_port)
    dicom_port: int = field(default_factory=free_port)
    further_settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    signed_in: dict[str, tuple[float, str]] = field(default_factory=dict, repr=False)
    """By role, when its last token was made, and that."""

    @property
    def url(self) -> str:
        """The site's base URL."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def settings(self) -> dict[str, str]:
        """The settings that every ``hayat`` command of this site needs."""
        return {
            "HAYAT_HTTP_PORT": str(self.http_port),
            "HAYAT_DICOM_PORT": str(self.dicom_port),
            "HAYAT_DATA_DIR": str(self.folder / "data"),
            "HAYAT_AE_TITLE": self.ae_title,
            "HAYAT_SITE_NAME": self.name,
            "HAYAT_BASE_URL": self.url,
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            **self.further_settings,
        }

    def start(self) -> None:
        """Start the site; its own output goes to ``serve.log`` in its folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hayat_fhir", "serve"],
                env=self.settings,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )

    def wait_until_ready(self) -> None:
        """Return once ``/health/ready`` answers 200.

        Raises:
            DemonstrationFailed: It ended, or was not ready in time.
        """
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                raise DemonstrationFailed(f"{self.name} ended while starting; see {self.folder / 'serve.log'}")
            try:
                if httpx.get(f"{self.url}/health/ready", timeout=2).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise DemonstrationFailed(f"{self.name} was not ready in time; see {self.folder / 'serve.log'}")

    def stop(self) -> None:
        """End the site, first politely."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def hayat(self, *arguments: str, stdin: str = "") -> str:
        """Run a ``hayat`` command of this site and return what it printed.

        Raises:
            DemonstrationFailed: The command failed.
        """
        done = subprocess.run(  # noqa: S603 - this package's own command
            [sys.executable, "-m", "hayat_fhir", *arguments],
            env=self.settings,
            input=stdin.encode(),
            capture_output=True,
            check=False,
            timeout=_PATIENCE,
            cwd=self.folder,
        )
        if done.returncode != 0:
            raise DemonstrationFailed(f"hayat {arguments[0]} failed at {self.name}: {done.stderr.decode().strip()}")
        return done.stdout.decode().strip()

    def add_partner(self, other: Site, *more: str) -> str:
        """Register another hospital as this one's partner, with what more there is to say of it; its id here."""
        return self.hayat(
            *("partner", "add", "--name", other.name, "--fhir-url", f"{other.url}/fhir"),
            *("--jwks-url", f"{other.url}/.well-known/jwks.json", "--ae-title", other.ae_title),
            *("--host", "127.0.0.1", "--port", str(other.dicom_port), *more),
        )

    def add_account(self, role: str) -> None:
        """Add an account of this role with a password that nobody keeps."""
        self.hayat(
            *("account", "add", "--role", role, "--email", self._email(role), "--name", f"Demo {role}"),
            "--password-stdin",
            stdin=secrets.token_urlsafe(24),
        )

    def token(self, role: str) -> str:
        """A token of this role's account, at most a minute old: they live for five."""
        made, token = self.signed_in.get(role, (0.0, ""))
        if time.monotonic() - made > _YOUNG or not token:
            made, token = time.monotonic(), self.hayat("token", "--email", self._email(role))
            self.signed_in[role] = made, token
        return token

    def client(self, role: str) -> httpx.Client:
        """An HTTP client of this site's FHIR door, signed in with this role."""
        return httpx.Client(
            base_url=f"{self.url}/fhir",
            headers={"Authorization": f"Bearer {self.token(role)}", "Content-Type": "application/fhir+json"},
            timeout=30,
            trust_env=False,
        )

    def _email(self, role: str) -> str:
        return f"{role}@{self.folder.name}.example"
