"""The routes with which people sign in and out, register, and look after their password and second factor."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response

from hayat_fhir.api_v1 import answers, bodies
from hayat_fhir.api_v1.callers import Callers, address
from hayat_fhir.errors import Forbidden
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.services.credentials import Credentials
from hayat_fhir.services.legacy_writing import LegacyWriting
from hayat_fhir.services.sign_in import SignIn

_LONGEST_SESSION = 86400
_HOUR = 3600
_REGISTRATIONS = 20
_RESETS = 20


class Sessions:
    """Answers ``/auth``, ``/{role}/login`` and ``/patient/register``."""

    def __init__(self, callers: Callers, sign_in: SignIn, credentials: Credentials, writing: LegacyWriting) -> None:
        self._callers = callers
        self._sign_in = sign_in
        self._credentials = credentials
        self._writing = writing

    async def login(self, request: Request) -> Response:
        """POST /{role}/login ``{email, password, code?}``: ``{user, token}``."""
        role = Role(request.path_params["role"])
        content = await bodies.document(request, bodies.SIGN_IN_LIMIT)
        given = bodies.texts(content, ("email", "password"), ("code",))
        email = given["email"].strip().casefold()
        found = await self._sign_in.sign_in(role, email, given["password"], address(request), given.get("code"))
        return answers.plain({"user": found.account.email, "token": found.token})

    async def register(self, request: Request) -> Response:
        """POST /patient/register: a new patient, with an account."""
        source = address(request) or ""
        await self._sign_in.throttle("registration", source, _REGISTRATIONS, _HOUR)
        return answers.created(await self._writing.register(await bodies.document(request), source))

    async def whoami(self, request: Request) -> Response:
        """GET /auth/: who holds the token."""
        caller = await self._person(request)
        id = (caller.reference or "").partition("/")[2]
        return answers.plain({"id": id, "_id": id, "type": str(caller.role), "name": caller.name or ""})

    async def logout(self, request: Request) -> Response:
        """POST /auth/logout: this token is worth nothing from now on."""
        await self._sign_in.sign_out(await self._person(request), time.time() + _LONGEST_SESSION)
        return answers.nothing()

    async def logout_everywhere(self, request: Request) -> Response:
        """POST /auth/logout-everywhere: no token of this account is worth anything from now on."""
        await self._credentials.end_sessions(await self._person(request))
        return answers.nothing()

    async def password(self, request: Request) -> Response:
        """POST /auth/password ``{password, newPassword}``; all tokens of the account end."""
        caller = await self._person(request)
        given = bodies.texts(await bodies.document(request, bodies.SIGN_IN_LIMIT), ("password", "newPassword"))
        await self._sign_in.throttle("password", caller.subject, _RESETS, _HOUR)
        await self._credentials.change_password(caller, given["password"], given["newPassword"])
        return answers.nothing()

    async def reset(self, request: Request) -> Response:
        """POST /auth/reset ``{email, code, password}``: set a lost password with a one-time code."""
        source = address(request)
        await self._sign_in.throttle("reset", source or "", _RESETS, _HOUR)
        given = bodies.texts(await bodies.document(request, bodies.SIGN_IN_LIMIT), ("email", "code", "password"))
        await self._credentials.redeem(given["email"], given["code"], given["password"], source)
        return answers.nothing()

    async def enrol(self, request: Request) -> Response:
        """POST /auth/second-factor: a secret for the person's app; it counts once it is confirmed."""
        enrolment = await self._credentials.enrol(await self._person(request))
        return answers.plain({"secret": enrolment.secret, "uri": enrolment.uri})

    async def confirm(self, request: Request) -> Response:
        """PUT /auth/second-factor ``{secret, code}``; all tokens of the account end."""
        caller = await self._person(request)
        given = bodies.texts(await bodies.document(request, bodies.SIGN_IN_LIMIT), ("secret", "code"))
        await self._sign_in.throttle("password", caller.subject, _RESETS, _HOUR)
        await self._credentials.confirm(caller, given["secret"], given["code"])
        return answers.nothing()

    async def remove(self, request: Request) -> Response:
        """DELETE /auth/second-factor ``{password, code}``; all tokens of the account end."""
        caller = await self._person(request)
        given = bodies.texts(await bodies.document(request, bodies.SIGN_IN_LIMIT), ("password", "code"))
        await self._sign_in.throttle("password", caller.subject, _RESETS, _HOUR)
        await self._credentials.remove(caller, given["password"], given["code"])
        return answers.nothing()

    async def _person(self, request: Request) -> Caller:
        caller = await self._callers.caller(request)
        if caller.role not in {Role.PATIENT, Role.DOCTOR, Role.STAFF}:
            raise Forbidden("this is for people with an account")
        return caller
