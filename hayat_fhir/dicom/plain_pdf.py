"""Text as a PDF of plain pages, for people. Pure; the same text makes the same bytes.

Letters are those of the fonts that every reader has (ISO 32000-1 annex D.2, WinAnsiEncoding): what is written in other
scripts has no PDF.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

_ENCODING = "cp1252"
_COLUMNS, _LINES = 92, 56
_WIDTH, _HEIGHT, _MARGIN, _LEADING = 595, 842, 56, 13


def plain_pdf(title: str, lines: Sequence[str]) -> bytes | None:
    """Pages of A4 with these lines, which are wrapped; None where a letter is not in the fonts."""
    try:
        wrapped = [part.encode(_ENCODING) for line in (title, "", *lines) for part in (wrap(line, _COLUMNS) or [""])]
    except UnicodeEncodeError:
        return None
    pages = [wrapped[at : at + _LINES] for at in range(0, len(wrapped), _LINES)]
    kids = b" ".join(b"%d 0 R" % (4 + 2 * number) for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%b] /Count %d >>" % (kids, len(pages)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number, page in enumerate(pages):
        box = b"/MediaBox [0 0 %d %d] /Resources << /Font << /F1 3 0 R >> >>" % (_WIDTH, _HEIGHT)
        objects.append(b"<< /Type /Page /Parent 2 0 R %b /Contents %d 0 R >>" % (box, 5 + 2 * number))
        drawn = _drawn(page)
        objects.append(b"<< /Length %d >>\nstream\n%b\nendstream" % (len(drawn), drawn))
    return _file(objects)


def _drawn(page: Sequence[bytes]) -> bytes:
    shown = b"".join(b"(%b) '\n" % _escaped(line) for line in page)
    return b"BT /F1 10 Tf %d TL %d %d Td\n%bET" % (_LEADING, _MARGIN, _HEIGHT - _MARGIN, shown)


def _escaped(line: bytes) -> bytes:
    return line.replace(b"\\", rb"\\").replace(b"(", rb"\(").replace(b")", rb"\)")


def _file(objects: Sequence[bytes]) -> bytes:
    made = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    start = len(made)
    size = len(objects) + 1
    made += b"xref\n0 %d\n0000000000 65535 f \n%btrailer\n<< /Size %d /Root 1 0 R >>\n" % (size, table, size)
    return bytes(made + b"startxref\n%d\n%%%%EOF\n" % start)
