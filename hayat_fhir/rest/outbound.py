"""The calling side of the FHIR door: this site as a client of a partner hospital.

It signs in by SMART Backend Services, https://hl7.org/fhir/smart-app-launch/backend-services.html,
and fetches partners' public keys. Only URLs that staff registered with a partner are ever called, and the token
endpoint that its server names on the same origin: elsewhere it might be another hospital's, which would hand out what
this partner must not have (mix-up, RFC 9700 section 4.4).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from hayat_fhir.errors import InvalidRequest, NotFound, Refusal, Unavailable, Unprocessable
from hayat_fhir.fhir.json import parse, serialize
from hayat_fhir.search.escaping import escaped
from hayat_fhir.store.partners import Partner

_FHIR_JSON = "application/fhir+json"
_FORM = "application/x-www-form-urlencoded"
_ID = re.compile(r"(?!\.+$)[A-Za-z0-9.\-]{1,64}")
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_SCOPE = "system/*.cruds"
_JWKS_BYTES = 64 * 1024
_ANSWER_BYTES = 64 * 2**20
_STATEMENT_BYTES = 8 * 2**20
_FHIR_VERSION = re.compile(r"[0-9]+(\.[0-9]+){1,2}(-[a-z0-9]{1,16})?")
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_MARGIN = 30.0
_PATIENCE = 300.0
_TRIAL = 10.0
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=([0-9]{1,9})(?:$|[\s,])")


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    expires: float


class PartnerClient:
    """Talks FHIR to partners. ``assertion`` makes the signed client assertion for (token endpoint, client id)."""

    def __init__(self, client_id: str, assertion: Callable[[str, str], str]) -> None:
        self._client_id = client_id
        self._assertion = assertion
        self._tokens: dict[tuple[str, str], _Token] = {}
        self._http = httpx.AsyncClient(timeout=httpx.Timeout(120, connect=5), follow_redirects=False, trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def transaction(self, partner: Partner, bundle: dict[str, Any]) -> dict[str, Any]:
        """Post a transaction Bundle to the partner's FHIR base; the response Bundle.

        Raises:
            Unavailable: The partner cannot be reached or asks to come back later: try again.
            Unprocessable: The partner refused the Bundle; the issue carries its HTTP status only.
        """
        response = await self._post(partner, "", _ANSWER_BYTES, _FHIR_JSON, serialize(bundle))
        _check_status(response)
        return parse(response.content, limit=_ANSWER_BYTES)

    async def patient(self, partner: Partner, system: str, value: str) -> str | None:
        """The id at the partner's of the one patient with this identifier; None where there is none, or several.

        It is searched for by POST: identifiers of patients do not belong into the URLs that servers log.

        Raises:
            Unavailable: The partner cannot be reached or asks to come back later.
            Unprocessable: It refuses, or its answer is no search result.
        """
        form = urlencode({"identifier": f"{escaped(system)}|{escaped(value)}", "_count": "2"}).encode()
        response = await self._post(partner, "/Patient/_search", _STATEMENT_BYTES, _FORM, form)
        _check_status(response)
        found = [one for one in _resources(response.content) if _has_identifier(one, system, value)]
        ids = {str(one.get("id")) for one in found}
        id = ids.pop() if len(ids) == 1 else ""
        return id if _ID.fullmatch(id) else None

    async def ask(self, partner: Partner, patient: str) -> None:
        """Ask the partner for its share of a patient, by the id there; it comes later, by its own way.

        Raises:
            NotFound: The partner has not shared this patient with this site, or not any more.
            Unavailable: The partner cannot be reached or asks to come back later.
            Unprocessable: It does not offer to be asked.
        """
        response = await self._post(partner, f"/Patient/{patient}/$share", _STATEMENT_BYTES, _FHIR_JSON, b"")
        if response.status_code in {httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND, httpx.codes.GONE}:
            raise NotFound("the partner has not shared the patient with this hospital")
        if response.status_code in {httpx.codes.METHOD_NOT_ALLOWED, httpx.codes.NOT_IMPLEMENTED}:
            raise Unprocessable("the partner's server cannot be asked for what is new", code="not-supported")
        _check_status(response)

    async def _post(self, partner: Partner, path: str, limit: int, media: str, body: bytes) -> httpx.Response:
        """One POST below the partner's FHIR base, signed in; a token that it does not accept is forgotten."""
        url = _checked(partner.fhir_url)
        headers = {
            "Authorization": f"Bearer {await self._token(partner, url)}",
            "Content-Type": media,
            "Accept": _FHIR_JSON,
        }
        response = await self._send("POST", f"{url}{path}", limit, content=body, headers=headers)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._tokens.pop((partner.id, url), None)
            raise Unavailable("the partner did not accept the access token", code="login")
        return response

    async def metadata(self, partner: Partner) -> str:
        """The FHIR version that the partner's CapabilityStatement names, if this site could sign in there too.

        Both is asked for within 10 seconds each; nothing is asked of the token endpoint itself.

        Raises:
            Unavailable: The partner cannot be reached or asks to come back later.
            Unprocessable: It refuses, what answers there is no FHIR server, or it names no token endpoint of its own.
        """
        base = _checked(partner.fhir_url)
        accept = {"Accept": _FHIR_JSON}
        response = await self._send("GET", f"{base}/metadata", _STATEMENT_BYTES, within=_TRIAL, headers=accept)
        _check_status(response)
        try:
            statement = parse(response.content, limit=_STATEMENT_BYTES)
        except Refusal as refusal:
            raise Unprocessable("what answers there is no FHIR server") from refusal
        version = statement.get("fhirVersion")
        if statement.get("resourceType") != "CapabilityStatement" or not isinstance(version, str):
            raise Unprocessable("what answers there is no FHIR server")
        if _FHIR_VERSION.fullmatch(version) is None:
            raise Unprocessable("the FHIR version of the partner is not known")
        await self._token_endpoint(base, _TRIAL)
        return version

    async def jwks(self, url: str) -> tuple[dict[str, Any], float | None]:
        """The JSON Web Key Set at a registered URL: at most 64 kB, within 3 seconds, without redirects.

        With it, for how many seconds its Cache-Control lets it be kept; None where it does not say.

        Raises:
            Unavailable: It cannot be fetched.
            InvalidRequest: It is not a key set.
        """
        response = await self._send("GET", _checked(url), _JWKS_BYTES, within=3.0)
        _check_status(response)
        keys = parse(response.content, limit=_JWKS_BYTES)
        if not isinstance(keys.get("keys"), list):
            raise InvalidRequest("the key set has no keys", code="structure")
        return keys, _kept_for(response.headers.get("cache-control", ""))

    async def _token(self, partner: Partner, fhir_url: str) -> str:
        known = self._tokens.get((partner.id, fhir_url))
        if known is not None and known.expires - _MARGIN > time.monotonic():
            return known.value
        endpoint = await self._token_endpoint(fhir_url)
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": _ASSERTION_TYPE,
            "client_assertion": self._assertion(endpoint, self._client_id),
            "scope": _SCOPE,
        }
        response = await self._send("POST", endpoint, _JWKS_BYTES, data=form)
        _check_status(response)
        answer = _answered(response.content)
        try:
            token = _Token(str(answer["access_token"]), time.monotonic() + float(answer.get("expires_in", 60)))
        except (KeyError, TypeError, ValueError) as error:
            raise Unprocessable("the partner's token endpoint does not answer as one") from error
        self._tokens[partner.id, fhir_url] = token
        return token.value

    async def _token_endpoint(self, fhir_url: str, within: float = _PATIENCE) -> str:
        """Where the server at this FHIR base says that clients sign in.

        Raises:
            Unprocessable: It does not say so, or names another server.
        """
        url = f"{fhir_url}/.well-known/smart-configuration"
        discovered = await self._send("GET", url, _JWKS_BYTES, within=within)
        _check_status(discovered)
        endpoint = _checked(_answered(discovered.content).get("token_endpoint"))
        if _origin(endpoint) != _origin(fhir_url):
            raise Unprocessable("the partner names a token endpoint on another server than its FHIR base")
        return endpoint

    async def _send(
        self,
        method: str,
        url: str,
        limit: int,
        *,
        within: float = _PATIENCE,
        **request: Any,  # noqa: ANN401 - httpx's own arguments
    ) -> httpx.Response:
        """One request whose answer is read up to ``limit`` bytes, and is there ``within`` so many seconds."""
        try:
            async with asyncio.timeout(within), self._http.stream(method, url, **request) as response:
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > limit:
                        raise Unprocessable("the partner's answer is too large", code="too-long")
                return httpx.Response(response.status_code, headers=_kept(response.headers), content=bytes(body))
        except (httpx.TransportError, TimeoutError) as error:
            raise Unavailable("the partner cannot be reached") from error
        except httpx.InvalidURL as error:
            raise Unprocessable("the partner's URL is not valid") from error


def _answered(content: bytes) -> dict[str, Any]:
    """The JSON object of an answer.

    Raises:
        Unprocessable: It is none: the partner's fault, not that of whoever asks here.
    """
    try:
        return parse(content, limit=_STATEMENT_BYTES)
    except Refusal as refusal:
        raise Unprocessable("the partner's answer cannot be read") from refusal


def _resources(content: bytes) -> list[dict[str, Any]]:
    """The resources of a search result."""
    entries = _answered(content).get("entry", [])
    found = [entry.get("resource") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return [one for one in found if isinstance(one, dict)]


def _has_identifier(resource: dict[str, Any], system: str, value: str) -> bool:
    """Whether it is a Patient with this identifier: a server may leave out what it does not understand of a search."""
    given = resource.get("identifier")
    return resource.get("resourceType") == "Patient" and any(
        isinstance(one, dict) and (one.get("system"), one.get("value")) == (system, value)
        for one in (given if isinstance(given, list) else [])
    )


def _kept(headers: httpx.Headers) -> dict[str, str]:
    return {name: headers[name] for name in ("content-type", "cache-control") if name in headers}


def _kept_for(cache_control: str) -> float | None:
    """The seconds of a Cache-Control header, RFC 9111 section 5.2.2; None where it sets no limit."""
    if "no-store" in cache_control or "no-cache" in cache_control:
        return 0.0
    found = _MAX_AGE.search(cache_control)
    return float(found[1]) if found else None


def _checked(url: object) -> str:
    """A URL that may be called: https, or http on this machine."""
    if not isinstance(url, str):
        raise Unprocessable("the partner has no URL for this", code="required")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise Unprocessable("the partner's URL is not valid") from error
    if parts.username or parts.password or not parts.hostname:
        raise Unprocessable("the partner's URL is not valid")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise Unprocessable("the partner's URL is not https")
    return url.rstrip("/")


def _origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port (RFC 6454 section 4), as the client that calls the URL reads it.

    Raises:
        Unprocessable: It is no URL.
    """
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise Unprocessable("the partner's URL is not valid") from error
    return parts.scheme, parts.host, parts.port


def _check_status(response: httpx.Response) -> None:
    """Raise the refusal that a partner's status means: come back later, or a person must look."""
    if response.is_success:
        return
    status = response.status_code
    busy = status in {408, 409, 412, 425, 429} or status >= httpx.codes.INTERNAL_SERVER_ERROR
    refusal: type[Refusal] = Unavailable if busy else Unprocessable
    raise refusal(f"the partner answered {status}")
