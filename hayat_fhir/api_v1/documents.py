"""The routes of the five entities: list, read, create, update, delete."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from hayat_fhir.api_v1 import answers, bodies
from hayat_fhir.api_v1.callers import Callers
from hayat_fhir.api_v1.photo import PhotoEncoder
from hayat_fhir.errors import InvalidRequest, NotFound
from hayat_fhir.mapping.checking import texts
from hayat_fhir.security.callers import Caller
from hayat_fhir.security.legacy_access import Entity
from hayat_fhir.services.front_desk import FrontDesk
from hayat_fhir.services.legacy_query import wanted
from hayat_fhir.services.legacy_reading import LegacyReading
from hayat_fhir.services.legacy_writing import LegacyWriting
from hayat_fhir.store.photos import Photos

_ID = re.compile(r"[A-Za-z0-9.\-]{1,64}", re.ASCII)
_MOST_IDS = 100
_MOST_PARAMETERS = 50
_LONGEST_REASON = 500
_IDS = frozenset({"_id", "id"})


class Documents:
    """Answers the routes of one entity."""

    def __init__(
        self,
        entity: Entity,
        callers: Callers,
        reading: LegacyReading,
        writing: LegacyWriting,
        desk: FrontDesk,
        photos: Photos,
        encoder: PhotoEncoder,
        photo_url: Callable[[str], str],
    ) -> None:
        self._entity = entity
        self._callers = callers
        self._reading = reading
        self._writing = writing
        self._desk = desk
        self._photos = photos
        self._encoder = encoder
        self._photo_url = photo_url
        self._mapping = reading.mappings[entity]

    async def list(self, request: Request) -> Response:
        """GET /: one page of the documents that are asked for."""
        caller = await self._callers.caller(request)
        asked = wanted(_pairs(request), self._mapping.names | _IDS)
        documents = await self._reading.page(caller, self._entity, asked)
        if asked.fields is not None:
            shown = asked.fields | _IDS
            documents = [{name: value for name, value in d.items() if name in shown} for d in documents]
        return answers.listed(documents)

    async def read(self, request: Request) -> Response:
        """GET /{id}, or GET /{id},{id},.. for several."""
        caller = await self._callers.caller(request)
        if request.url.query:
            raise InvalidRequest("this route has no parameters", code="not-supported")
        text = request.path_params["id"]
        ids = list(dict.fromkeys(filter(None, text.split(","))))
        if not ids or len(ids) > _MOST_IDS or not all(map(_ID.fullmatch, ids)):
            raise NotFound("no such resource")
        documents = await self._reading.read(caller, self._entity, ids)
        return answers.listed(documents) if "," in text else answers.one(documents[0])

    async def create(self, request: Request) -> Response:
        """POST /."""
        caller = await self._callers.caller(request)
        return answers.created(await self._writing.create(caller, self._entity, await self._document(request)))

    async def update(self, request: Request) -> Response:
        """PUT /{id}."""
        caller, id = await self._named(request)
        document = await self._writing.update(caller, self._entity, id, await self._document(request))
        return answers.one(document if self._entity is Entity.DOCTOR else {self._entity.value: document})

    async def correct(self, request: Request) -> Response:
        """PUT /{id}/correction: the staff change somebody's entry."""
        caller, id = await self._named(request)
        return answers.one(await self._desk.correct(caller, self._entity, id, await self._document(request)))

    async def set_access(self, request: Request) -> Response:
        """PUT /{id}/access ``{disabled}``: shut a person out, or let them in again."""
        caller, id = await self._named(request)
        content = await bodies.document(request, bodies.SIGN_IN_LIMIT)
        if content.keys() != {"disabled"} or not isinstance(content["disabled"], bool):
            raise InvalidRequest("must be true or false", code="value", expression=["disabled"])
        await self._desk.set_access(caller, self._entity, id, disabled=content["disabled"])
        return answers.nothing()

    async def delete(self, request: Request) -> Response:
        """DELETE /{id}; ``?reason=`` says why in the audit trail."""
        caller, id = await self._named(request)
        pairs = dict(_pairs(request))
        reason = pairs.pop("reason", None)
        if pairs or (reason is not None and not 0 < len(reason) <= _LONGEST_REASON):
            raise InvalidRequest("only a reason can be given", code="value", expression=["parameter: reason"])
        await self._writing.delete(caller, self._entity, id, reason)
        return answers.nothing()

    async def _named(self, request: Request) -> tuple[Caller, str]:
        caller = await self._callers.caller(request)
        id = request.path_params["id"]
        if _ID.fullmatch(id) is None:
            raise NotFound("no such resource")
        return caller, id

    async def _document(self, request: Request) -> dict[str, Any]:
        """The document that is sent; a picture has been stored, and its place stands in it."""
        fields, photo, is_form = await bodies.form_or_document(request)
        document = texts(self._mapping, fields) if is_form else dict(fields)
        if photo is not None:
            if "photo" not in self._mapping.names:
                raise InvalidRequest("there is no such field", code="structure", expression=["photo"])
            document["photo"] = self._photo_url(await self._photos.keep(await self._encoder.encode(photo)))
        elif document.get("photo"):
            self._check_photo(document["photo"])
        return document

    def _check_photo(self, url: object) -> None:
        """A picture that is sent as an address must be one of ours: nobody's browser is sent elsewhere."""
        if not isinstance(url, str) or not url.startswith(self._photo_url("")):
            raise InvalidRequest("is uploaded as a file", code="value", expression=["photo"])


def _pairs(request: Request) -> list[tuple[str, str]]:
    try:
        return parse_qsl(request.url.query, keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARAMETERS)
    except ValueError as error:
        raise InvalidRequest("the parameters are not URL-encoded UTF-8", code="value") from error
