"""The narrative is XHTML that a browser will show: nothing in it may act.

It is read as XML, which it must be, and never more leniently: where a lenient reading and a browser's differ, a script
can hide. What XML and HTML read differently although it is well formed is refused too: CDATA sections, processing
instructions, comments with angle brackets.
https://hl7.org/fhir/R4/narrative.html#security
"""

from __future__ import annotations

import re
from xml.parsers import expat

_ELEMENTS = frozenset(
    [
        "a",
        "abbr",
        "acronym",
        "b",
        "big",
        "blockquote",
        "br",
        "caption",
        "cite",
        "code",
        "col",
        "colgroup",
        "dd",
        "dfn",
        "div",
        "dl",
        "dt",
        "em",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "i",
        "img",
        "li",
        "ol",
        "p",
        "pre",
        "q",
        "samp",
        "small",
        "span",
        "strong",
        "sub",
        "sup",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "tt",
        "ul",
        "var",
    ]
)
_ATTRIBUTES = frozenset(
    [
        "abbr",
        "align",
        "alt",
        "axis",
        "bgcolor",
        "border",
        "cellhalign",
        "cellpadding",
        "cellspacing",
        "cellvalign",
        "char",
        "charoff",
        "charset",
        "cite",
        "class",
        "colspan",
        "compact",
        "coords",
        "dir",
        "frame",
        "headers",
        "height",
        "href",
        "hreflang",
        "hspace",
        "id",
        "lang",
        "longdesc",
        "name",
        "nowrap",
        "rel",
        "rev",
        "rowspan",
        "rules",
        "scope",
        "shape",
        "span",
        "src",
        "start",
        "style",
        "summary",
        "tabindex",
        "target",
        "title",
        "type",
        "valign",
        "value",
        "vspace",
        "width",
        "xmlns",
        "xml:lang",
        "xml:space",
    ]
)
_SCHEMES = ("http:", "https:", "ftp:", "mailto:", "tel:", "urn:", "cid:")
_XHTML = "http://www.w3.org/1999/xhtml"
_STYLE_THAT_FETCHES = re.compile(
    r"(?:url|src|image|image-set|element|expression)\(|behavior:|binding:|@import|javascript:|\\"
)
_EMBEDDED_IMAGE = re.compile(r"""url\(["']?data:image/(?:png|gif|jpeg)""")


class _NotInertError(Exception):
    """Something in the narrative acts, fetches, or may be read in two ways."""


def is_safe(div: str) -> bool:
    """Whether a narrative is one well-formed ``div`` of inert formatting, images and links."""
    parser = expat.ParserCreate()
    parser.StartElementHandler = _check_element
    parser.CommentHandler = _check_comment
    parser.StartDoctypeDeclHandler = parser.ProcessingInstructionHandler = _refuse
    parser.StartCdataSectionHandler = _refuse
    try:
        parser.Parse(div, True)
    except (expat.ExpatError, UnicodeEncodeError, _NotInertError):
        return False
    return div.lstrip().startswith(("<div>", "<div ", "<div\n", "<div\t", "<div\r"))


def _check_element(name: str, attributes: dict[str, str]) -> None:
    if name not in _ELEMENTS or not all(_inert(*attribute) for attribute in attributes.items()):
        raise _NotInertError


def _check_comment(text: str) -> None:
    if "<" in text or ">" in text or text.startswith("-"):
        raise _NotInertError


def _refuse(*_: object) -> None:
    raise _NotInertError


def _inert(name: str, value: str) -> bool:
    if name not in _ATTRIBUTES:
        return False
    if name == "xmlns":
        return value == _XHTML
    plain = "".join(value.split()).lower()
    if name in {"href", "src", "cite", "longdesc"}:
        scheme = plain.split("/", 1)[0].split("?", 1)[0].split("#", 1)[0]
        schemes = (*_SCHEMES, "data:image/") if name == "src" else _SCHEMES
        return ":" not in scheme or plain.startswith(schemes)
    return name != "style" or _STYLE_THAT_FETCHES.search(_EMBEDDED_IMAGE.sub("", plain)) is None
