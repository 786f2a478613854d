"""The site's key file: private, made once whoever comes first, and replaced while the site runs."""

from __future__ import annotations

import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest
from joserfc.jwk import ECKey

from hayat_fhir.errors import ConfigurationError, Unauthenticated
from hayat_fhir.security.client_assertions import verify_assertion
from hayat_fhir.security.keys import OVERLAP, SiteKeys
from hayat_fhir.security.tokens import ACCESS, LEEWAY, issue_access, verify_access

ISSUER = "https://site.example"
NOW = 1_800_000_000


def opened(directory: Path) -> tuple[str, bytes]:
    """What one of several processes finds: the signing key's id, and a secret."""
    keys = SiteKeys.load_or_create(directory)
    return str(keys.signing.kid), keys.secret("test")


def token(keys: SiteKeys, now: float = NOW) -> str:
    """A token."""
    return issue_access(keys, issuer=ISSUER, subject="s", role="doctor", scopes=[], now=now)


def test_nobody_else_reads_the_keys(tmp_path: Path) -> None:
    """0600 in 0700, whatever the umask, and nothing left beside the file."""
    before = os.umask(0)
    try:
        SiteKeys.load_or_create(tmp_path / "secrets")
    finally:
        os.umask(before)
    directory = tmp_path / "secrets"
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()} == {"keys.json": 0o600}


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o620, 0o602, 0o601, 0o610])
def test_an_open_file_is_refused(tmp_path: Path, mode: int) -> None:
    """Any right of the group or of others; the message names the file."""
    SiteKeys.load_or_create(tmp_path)
    (tmp_path / "keys.json").chmod(mode)
    with pytest.raises(ConfigurationError, match=r"keys\.json"):
        SiteKeys.load_or_create(tmp_path)


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701])
def test_an_open_directory_is_refused(tmp_path: Path, mode: int) -> None:
    """Who may enter the directory could put another file there."""
    SiteKeys.load_or_create(tmp_path)
    tmp_path.chmod(mode)
    with pytest.raises(ConfigurationError):
        SiteKeys.load_or_create(tmp_path)
    with pytest.raises(ConfigurationError):
        SiteKeys.rotate(tmp_path)


def test_all_who_come_at_once_find_the_same_keys(tmp_path: Path) -> None:
    """Four processes, eight threads: one set of keys."""
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = set(pool.map(opened, [tmp_path / "secrets"] * 8))
    assert len(found) == 1
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(opened, [tmp_path / "others"] * 16))) == 1


def test_all_who_replace_at_once_keep_all_keys(tmp_path: Path) -> None:
    """No replaced key is lost while its tokens are good."""
    keys = SiteKeys.load_or_create(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(SiteKeys.rotate, [tmp_path] * 24))
    assert len(keys.public_jwks()["keys"]) == 25


def _broken(content: dict[str, Any], name: str, value: Any) -> bytes:
    return orjson.dumps({**content, name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("keys", []),
        ("keys", None),
        ("keys", [{"kty": "EC"}]),
        ("keys", [ECKey.generate_key("P-256", auto_kid=True).as_dict(private=True)]),
        ("keys", [ECKey.generate_key("P-384", auto_kid=True).as_dict(private=False)]),
        ("keys", [ECKey.generate_key("P-384").as_dict(private=True)]),
        ("master", "AAAA"),
        ("master", None),
        ("until", []),
    ],
)
def test_a_broken_file_stops_the_start(tmp_path: Path, name: str, value: Any) -> None:
    """No key, another curve, no private half, no name, a short secret."""
    SiteKeys.load_or_create(tmp_path)
    path = tmp_path / "keys.json"
    path.write_bytes(_broken(orjson.loads(path.read_bytes()), name, value))
    with pytest.raises(ConfigurationError, match=r"keys\.json"):
        SiteKeys.load_or_create(tmp_path)
    with pytest.raises(ConfigurationError):
        SiteKeys.rotate(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_a_file_that_is_no_json_stops_the_start(tmp_path: Path, content: bytes) -> None:
    """Cut short, or something else."""
    SiteKeys.load_or_create(tmp_path)
    (tmp_path / "keys.json").write_bytes(content)
    with pytest.raises(ConfigurationError):
        SiteKeys.load_or_create(tmp_path)


def test_there_is_nothing_to_replace(tmp_path: Path) -> None:
    """Without a key file, and without its directory."""
    with pytest.raises(ConfigurationError):
        SiteKeys.rotate(tmp_path)
    with pytest.raises(ConfigurationError):
        SiteKeys.rotate(tmp_path / "none")


def test_a_key_is_replaced_while_the_site_runs(tmp_path: Path) -> None:
    """A running process signs with the new key at once, and takes tokens of both until the overlap is over."""
    running, other = SiteKeys.load_or_create(tmp_path), SiteKeys.load_or_create(tmp_path)
    old, kid = token(running), running.signing.kid
    SiteKeys.rotate(tmp_path, now=NOW)
    assert running.signing.kid == other.signing.kid != kid
    new = token(running)
    for each in (running, other):
        assert verify_access(old, each, issuer=ISSUER, now=NOW).subject == "s"
        assert verify_access(new, each, issuer=ISSUER, now=NOW).subject == "s"
    assert kid in {key.kid for key in running.verifying_at(NOW + OVERLAP - 1).keys}
    assert kid not in {key.kid for key in running.verifying_at(NOW + OVERLAP).keys}
    assert running.signing.kid in {key.kid for key in running.verifying_at(NOW * 2).keys}


def test_a_stolen_key_ends_at_once(tmp_path: Path) -> None:
    """Without an overlap, no token of the old keys is good any more, older ones included."""
    keys = SiteKeys.load_or_create(tmp_path)
    first = token(keys)
    SiteKeys.rotate(tmp_path, now=NOW)
    second = token(keys)
    SiteKeys.rotate(tmp_path, now=NOW, overlap=0)
    for gone in (first, second):
        with pytest.raises(Unauthenticated):
            verify_access(gone, keys, issuer=ISSUER, now=NOW)
    assert len(keys.verifying_at(NOW).keys) == 1


def test_the_overlap_outlives_every_token() -> None:
    """A token of the last second before a rotation can be used to its end."""
    assert ACCESS.longest + LEEWAY < OVERLAP


def test_old_keys_leave_the_file(tmp_path: Path) -> None:
    """A rotation drops what is over."""
    SiteKeys.load_or_create(tmp_path)
    for day in range(4):
        SiteKeys.rotate(tmp_path, now=NOW + day * 2 * OVERLAP)
    assert len(orjson.loads((tmp_path / "keys.json").read_bytes())["keys"]) == 2


def test_a_running_site_outlives_its_file(tmp_path: Path) -> None:
    """Away or broken, the file takes nothing away from who has read it."""
    keys = SiteKeys.load_or_create(tmp_path)
    good, path = token(keys), tmp_path / "keys.json"
    content = path.read_bytes()
    for change in (path.unlink, lambda: path.write_bytes(b"{")):
        change()
        assert verify_access(good, keys, issuer=ISSUER, now=NOW).subject == "s"
    path.write_bytes(content)
    assert verify_access(good, keys, issuer=ISSUER, now=NOW).subject == "s"


def test_secrets_are_apart(keys: SiteKeys, tmp_path: Path) -> None:
    """One for each purpose and site, the same every time, and the same after a rotation."""
    other = SiteKeys.load_or_create(tmp_path)
    before = other.secret("a")
    SiteKeys.rotate(tmp_path)
    assert len({keys.secret("a"), keys.secret("b"), other.secret("a"), other.secret("b")}) == 4
    assert before == other.secret("a") == SiteKeys.load_or_create(tmp_path).secret("a")
    assert len(before) == 32


def test_public_keys_are_public(keys: SiteKeys) -> None:
    """Names, algorithm and public halves only."""
    for key in keys.public_jwks()["keys"]:
        assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}


def test_the_sites_own_assertion_is_what_partners_take(keys: SiteKeys) -> None:
    """It passes the check that this site makes of its partners, once by its name, for less than five minutes."""
    endpoint, client = "https://other.example/oauth/token", "https://site.example/fhir"
    tokens = [keys.client_assertion(endpoint, client, now=NOW) for _ in range(2)]
    found = [
        verify_assertion(text, keys.public_jwks(), client_id=client, token_endpoint=endpoint, now=NOW)
        for text in tokens
    ]
    assert found[0].jti != found[1].jti
    assert all(NOW < assertion.expires <= NOW + 300 for assertion in found)
    today = keys.client_assertion(endpoint, client)
    verify_assertion(today, keys.public_jwks(), client_id=client, token_endpoint=endpoint, now=time.time())
