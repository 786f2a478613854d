"""A partner's keys are fetched from its URL, kept as long as it says, and nobody can have them fetched without end."""

from __future__ import annotations

import asyncio
import json
import time
from secrets import token_hex

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from hayat_fhir.app import Site
from hayat_fhir.services.authorization import TokenRefused
from hayat_fhir.services.partner_details import PartnerDetails

_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class _Partner:
    """A partner's key server: it counts how often it is asked."""

    def __init__(self) -> None:
        self.keys = [ECKey.generate_key("P-384", {"use": "sig", "alg": "ES384"}, auto_kid=True)]
        self.asked = 0
        self.up = True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        body = json.dumps({"keys": [key.as_dict(private=False) for key in self.keys]}).encode()
        status = "200 OK" if self.up else "503 Service Unavailable"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        writer.close()

    def form(self, site: Site, client: str, key: ECKey | None = None) -> dict[str, str]:
        """A token request, signed with the first key or another one."""
        now = int(time.time())
        signing = key or self.keys[0]
        claims = {
            "iss": client,
            "sub": client,
            "aud": f"{site.settings.site_url}/oauth/token",
            "iat": now,
            "exp": now + 60,
            "jti": token_hex(16),
        }
        header = {"alg": "ES384", "typ": "JWT", "kid": signing.kid}
        assertion = jwt.encode(header, claims, signing, algorithms=["ES384"])
        form = {"grant_type": "client_credentials", "client_assertion_type": _TYPE, "client_assertion": assertion}
        return {**form, "scope": "system/*.rs"}


async def test_keys_by_url(site: Site) -> None:
    """Fetched once for many sign-ins; twenty assertions under unknown keys have them fetched once more at most."""
    partner = _Partner()
    server = await asyncio.start_server(partner.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks.json"
    async with server:
        client = (await site.registration.partner(PartnerDetails("West", jwks_url=url))).client_id
        for _ in range(3):
            assert (await site.authorization.client_credentials(partner.form(site, client)))["access_token"]
        assert partner.asked == 1
        stranger = ECKey.generate_key("P-384", auto_kid=True)
        for _ in range(20):
            with pytest.raises(TokenRefused):
                await site.authorization.client_credentials(partner.form(site, client, stranger))
        assert partner.asked <= 2


async def test_a_url_that_fails_is_left_alone(site: Site) -> None:
    """Whoever knows a client's name cannot have its server called with every request."""
    partner = _Partner()
    partner.up = False
    server = await asyncio.start_server(partner.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks.json"
    async with server:
        client = (await site.registration.partner(PartnerDetails("East", jwks_url=url))).client_id
        started = time.monotonic()
        for _ in range(20):
            with pytest.raises(TokenRefused):
                await site.authorization.client_credentials(partner.form(site, client))
        assert partner.asked <= 1 + (time.monotonic() - started) // 5 * 2
