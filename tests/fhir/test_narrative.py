"""Narratives: what browsers would run or fetch must be seen through every disguise."""

from __future__ import annotations

import pytest

from hayat_fhir.fhir.narrative import is_safe

DIV = '<div xmlns="http://www.w3.org/1999/xhtml">'


@pytest.mark.parametrize(
    "inside",
    [
        "plain text, Ayşe &amp; &#8212; 2 &lt; 3",
        "<p class='x' style='color: red; text-align: center'>a<br/>b</p>",
        "<!-- a remark --><table border='1'><tbody><tr><td colspan='2'>1</td></tr></tbody></table>",
        '<a href="https://hospital.example/x?y=1#z">a</a><a href="#b">b</a><a href="Patient/1">c</a>',
        '<a href="mailto:x@hospital.example">a</a><a href="urn:uuid:0">b</a><a name="b"/>',
        '<img src="data:image/png;base64,AAAA" alt="x"/><img src="#image"/>',
        '<span style="background-image: url(data:image/png;base64,AAAA)">x</span>',
    ],
)
def test_inert_formatting_is_kept(inside: str) -> None:
    """Everything that the standard allows stays allowed."""
    assert is_safe(f"{DIV}{inside}</div>")


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        "<SCRIPT>alert(1)</SCRIPT>",
        "<!--><script>alert(1)</script>-->",
        "<!-- x --!><script>alert(1)</script> -->",
        "<!-- x --><script>alert(1)</script><!-- -->",
        "<![CDATA[><script>alert(1)</script>]]>",
        "<?x ><script>alert(1)</script>?>",
        "<svg onload='alert(1)'/>",
        "<math><mtext></mtext></math>",
        "<img src='x' onerror='alert(1)'/>",
        "<p ONCLICK='alert(1)'>x</p>",
        "<iframe src='https://evil.example'></iframe>",
        "<object data='x'/>",
        "<form action='x'><input/></form>",
        "<base href='https://evil.example'/>",
        "<link rel='stylesheet' href='https://evil.example'/>",
        "<meta http-equiv='refresh' content='0'/>",
        "<style>p {}</style>",
        "<a href='javascript:alert(1)'>x</a>",
        "<a href='JaVa&#115;cript:alert(1)'>x</a>",
        "<a href=' java\n\tscript:alert(1)'>x</a>",
        "<a href='javascript&colon;alert(1)'>x</a>",
        "<a href='vbscript:x'>x</a>",
        "<a href='data:text/html,x'>x</a>",
        "<a href='data:image/svg+xml,x'>x</a>",
        "<p style='background: url(https://evil.example)'>x</p>",
        "<p style='background: u\\72l(https://evil.example)'>x</p>",
        "<p style='background: image-set(\"https://evil.example\" 1x)'>x</p>",
        "<p style='width: expression(alert(1))'>x</p>",
        "<p style='-moz-binding: x'>x</p>",
        "<svg:script xmlns:svg='http://www.w3.org/2000/svg'>alert(1)</svg:script>",
        "<a xmlns='http://www.w3.org/2000/svg'>x</a>",
        "&nbsp;",
        "<b>not closed",
        "</div><script>alert(1)</script><div>",
    ],
)
def test_what_acts_or_is_ambiguous_is_refused(inside: str) -> None:
    """Nothing runs or fetches, nothing is read otherwise by a browser than here."""
    assert not is_safe(f"{DIV}{inside}</div>")


@pytest.mark.parametrize(
    "div",
    [
        "",
        "text",
        "<p>no div</p>",
        "<div>not closed",
        "<div>a</div><div>b</div>",
        "<div>a</div><script",
        '<?xml version="1.0"?><div>x</div>',
        '<!DOCTYPE div [<!ENTITY a "b">]><div>&a;</div>',
        '<!DOCTYPE div SYSTEM "file:///etc/passwd"><div>x</div>',
        "<!-- x --><div>x</div>",
        '<div xmlns="http://www.w3.org/2000/svg">x</div>',
        "<div>" * 100_000,
        "<div>\ud800</div>",
    ],
    ids=range(13),
)
def test_only_one_well_formed_div(div: str) -> None:
    """A narrative is one div and nothing beside it; a document type, and with it any entity, is refused."""
    assert not is_safe(div)
