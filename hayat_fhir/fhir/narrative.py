"""The narrative is XHTML that a browser will show: nothing in it may act.

https://hl7.org/fhir/R4/narrative.html#security
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

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
_SCHEMES = ("http:", "https:", "mailto:", "tel:", "urn:", "data:image/", "cid:")


class _Inspector(HTMLParser):
    """Looks for anything but plain, inert formatting."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.safe = True
        self.first: str | None = None

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.first = self.first or tag
        self.safe &= tag in _ELEMENTS and all(_inert(name, value or "") for name, value in attributes)

    def handle_decl(self, decl: str) -> None:
        del decl
        self.safe = False

    def unknown_decl(self, data: str) -> None:
        del data
        self.safe = False

    def handle_pi(self, data: str) -> None:
        del data
        self.safe = False


def is_safe(div: str) -> bool:
    """Whether a narrative is one ``div`` of inert formatting, images and links."""
    inspector = _Inspector()
    inspector.feed(div)
    inspector.close()
    return inspector.safe and inspector.first == "div" and div.lstrip().startswith("<div")


def _inert(name: str, value: str) -> bool:
    if name not in _ATTRIBUTES:
        return False
    plain = "".join(value.split()).lower()
    if name in {"href", "src", "cite", "longdesc"}:
        scheme = plain.split("/", 1)[0].split("?", 1)[0].split("#", 1)[0]
        return ":" not in scheme or plain.startswith(_SCHEMES)
    if name != "style":
        return True
    plain = re.sub(r"""url\(["']?data:image/(?:png|gif|jpeg)""", "", plain)
    return not any(word in plain for word in ("url(", "expression(", "@import", "javascript:", "\\"))
