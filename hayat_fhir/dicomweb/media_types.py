"""What a DICOMweb client accepts, and the answer's form that suits it best.

PS3.18 8.7, https://dicom.nema.org/medical/dicom/current/output/html/part18.html#sect_8.7
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from hayat_fhir.errors import InvalidRequest, NotAcceptable

DICOM = "application/dicom"
JSON = "application/dicom+json"
OCTETS = "application/octet-stream"
MULTIPART = "multipart/related"
EXPLICIT = "1.2.840.10008.1.2.1"
ENCODED = frozenset({EXPLICIT, *(f"1.2.840.10008.1.2.{ending}" for ending in ("4.80", "4.90", "5"))})
"""Transfer syntaxes in which objects and frames are made on demand: JPEG-LS, JPEG 2000 and RLE without loss."""
NATIVE = frozenset({"1.2.840.10008.1.2", EXPLICIT})
"""Transfer syntaxes in which pixels stand as EXPLICIT has them."""
UNCOMPRESSED = NATIVE | {"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"}
"""Transfer syntaxes of native pixels, whose frames are served in EXPLICIT only."""
COMPRESSED: Mapping[str, str] = MappingProxyType(
    {
        "1.2.840.10008.1.2.4.50": "image/jpeg",
        "1.2.840.10008.1.2.4.51": "image/jpeg",
        "1.2.840.10008.1.2.4.57": "image/jpeg",
        "1.2.840.10008.1.2.4.70": "image/jpeg",
        "1.2.840.10008.1.2.4.80": "image/jls",
        "1.2.840.10008.1.2.4.81": "image/jls",
        "1.2.840.10008.1.2.4.90": "image/jp2",
        "1.2.840.10008.1.2.4.91": "image/jp2",
        "1.2.840.10008.1.2.4.92": "image/jpx",
        "1.2.840.10008.1.2.4.93": "image/jpx",
        "1.2.840.10008.1.2.4.110": "image/jxl",
        "1.2.840.10008.1.2.4.111": "image/jxl",
        "1.2.840.10008.1.2.4.112": "image/jxl",
        "1.2.840.10008.1.2.4.201": "image/jphc",
        "1.2.840.10008.1.2.4.202": "image/jphc",
        "1.2.840.10008.1.2.4.203": "image/jphc",
        "1.2.840.10008.1.2.5": "image/dicom-rle",
        "1.2.840.10008.1.2.4.100": "video/mpeg2",
        "1.2.840.10008.1.2.4.102": "video/mp4",
        "1.2.840.10008.1.2.4.103": "video/mp4",
        "1.2.840.10008.1.2.4.107": "video/H265",
        "1.2.840.10008.1.2.4.108": "video/H265",
    }
)
"""The media type of a frame that is stored in this transfer syntax (PS3.18 table 8.7.3-5)."""
_MOST = 64
_UTF_8 = frozenset({"utf-8", "iso_ir 192"})
"""Names of the one character set of text that is served, in small letters."""


@dataclass(frozen=True, slots=True)
class Range:
    """One media range: the type, that of the parts where it is multipart, its transfer syntax, and its weight."""

    media: str
    part: str
    syntax: str
    weight: float

    @property
    def multipart(self) -> bool:
        """Whether parts are asked for."""
        return self.media in {MULTIPART, "multipart/*"}

    @property
    def anything(self) -> bool:
        """Whether the client takes whatever there is."""
        return self.media == "*/*"

    def takes(self, media: str, syntax: str) -> bool:
        """Whether this is a part, or an answer, of this media type and transfer syntax."""
        kind = self.part if self.multipart else self.media
        matches = kind in {media, "", "*/*"} or (kind.endswith("/*") and media.startswith(kind[:-1]))
        return matches and self.syntax in {"", "*", syntax}


def accepted(query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """What a client takes, by the parameter ``accept`` or else the header field (PS3.18 8.3.3.1, 8.7.5).

    Raises:
        InvalidRequest: It takes no text in UTF-8 (8.3.3.2).
    """
    names = (name.partition(";")[0].strip(' "').lower() for name in query.get("charset", "utf-8").split(","))
    if _UTF_8.isdisjoint(names):
        raise InvalidRequest("only UTF-8 is served here", code="not-supported", expression=["charset"])
    # a plus sign that was not escaped has arrived as a blank
    return query.get("accept", "").replace("/dicom json", "/dicom+json") or headers.get("accept", "*/*")


def ranges(accept: str) -> list[Range]:
    """What a client takes, its dearest first."""
    found = []
    for text in _split(accept or "*/*")[:_MOST]:
        media, parameters = described(text)
        try:
            weight = float(parameters.get("q", "1"))
        except ValueError:
            weight = 1.0
        if weight > 0:
            found.append(
                Range(
                    media,
                    parameters.get("type", "").lower(),
                    parameters.get("transfer-syntax", ""),
                    weight,
                )
            )
    return sorted(found, key=lambda one: one.weight, reverse=True)


def described(text: str) -> tuple[str, dict[str, str]]:
    """A media type in small letters, and its parameters."""
    media, *rest = _split(text, ";")
    pairs = (part.partition("=") for part in rest)
    return media.strip().lower(), {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def json(accept: str) -> str:
    """The media type of an answer in JSON.

    Raises:
        NotAcceptable: The client takes none.
    """
    for one in ranges(accept):
        if one.anything or one.media in {JSON, "application/*"}:
            return JSON
        if one.media == "application/json":
            return one.media
    raise NotAcceptable("only application/dicom+json is served here")


def picture(accept: str, given: Sequence[str] = ("image/jpeg", "image/png")) -> str:
    """The media type of a rendered picture.

    Raises:
        NotAcceptable: The client takes none.
    """
    for one in ranges(accept):
        for media in given:
            if one.anything or (one.part if one.multipart else one.media) in {media, "image/*", ""}:
                return media
    raise NotAcceptable("only image/jpeg and image/png are served here")


def _split(text: str, separator: str = ",") -> list[str]:
    """The parts between separators that stand outside quotes."""
    parts, quoted, current = [], False, ""
    for character in text:
        if character == '"':
            quoted = not quoted
        if character == separator and not quoted:
            parts.append(current)
            current = ""
        else:
            current += character
    return [*parts, current]
