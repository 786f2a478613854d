"""Passwords: what is refused, and what it costs to try one."""

from __future__ import annotations

import string
import time
from contextlib import suppress

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type
from hypothesis import given, settings
from hypothesis import strategies as st

from hayat_fhir.errors import InvalidRequest
from hayat_fhir.security.passwords import Passwords

PASSWORDS = Passwords()
GOOD = "correct horse battery staple"


@pytest.mark.parametrize(
    "password",
    [
        "",
        "x" * 14,
        "🐎🔋📎✅🎸🏔🌊🍀🎲🚲🛶🧭🪕🥾",
        "q7" * 513,
        "q7 " * 400_000,
        "ü" * 600,
        "\ud800" + GOOD,
        " " * 20,
        "aaaaaaaaaaaaaaaaaaaa",
        "abcabcabcabcabcabc",
        "hunter2hunter2hunter2",
        "123456789012345678",
        "qwertyuiopasdfghjkl",
        "zyxwvutsrqponmlkji",
        "1qaz2wsx3edc4rfv",
        "Password123456!!",
        "PASSWORDPASSWORD1",
        "welcome hospital 1",
        "ann.lee@site.example",
        "ANN.LEE@SITE.EXAMPLE!",
        "Annabel Lee Annabel",
    ],
)
def test_what_is_easily_guessed_is_refused(password: str) -> None:
    """Too short, too long, rows of the keyboard, repetitions, the usual words, and what is known of the person."""
    with pytest.raises(InvalidRequest) as refused:
        PASSWORDS.check(password, email="ann.lee@site.example", name="Annabel Lee")
    assert not password or password not in str(refused.value)


@pytest.mark.parametrize(
    "password",
    [
        GOOD,
        "a sentence of my own that nobody else has thought of, " * 3,
        "Tz7!kQ9#vL2@wX5$",
        "doğru at pil ve tel deposu",
        "正しい馬バッテリーホッチキス正確な馬",
        "🐎🔋📎✅🎸🏔🌊🍀🎲🚲🛶🧭🪕🥾🧗",
        "Lee likes 7 green umbrellas",
        "x" + "0f3c" * 3 + "yw9" + "é" * 497,
    ],
)
def test_long_passwords_of_any_kind_will_do(password: str) -> None:
    """No rule on characters; sentences, other scripts, spaces and up to 1024 bytes."""
    PASSWORDS.check(password, email="ann.lee@site.example", name="Annabel Lee")


@settings(max_examples=60)
@given(st.text(string.ascii_letters + string.digits + "-_", min_size=24, max_size=64))
def test_the_check_ends(password: str) -> None:
    """It refuses or it does not, in no time."""
    started = time.perf_counter()
    with suppress(InvalidRequest):
        PASSWORDS.check(password, email=f"{password}@x", name=password)
    assert time.perf_counter() - started < 2


def test_a_password_counts_exactly() -> None:
    """Each byte to the last; neither trimmed nor normalised."""
    long = "0123456789abcdef" * 5
    hashed = PASSWORDS.hash(long)
    assert PASSWORDS.verify(hashed, long)
    for other in (long + " ", " " + long, long[:72], long[:-1] + "x", long.upper()):
        assert not PASSWORDS.verify(hashed, other)
    assert not PASSWORDS.verify(PASSWORDS.hash("café " * 4), "cafe\u0301 " * 4)


def test_the_hash_is_argon2id() -> None:
    """With OWASP's parameters and a salt of its own."""
    first, second = PASSWORDS.hash(GOOD), PASSWORDS.hash(GOOD)
    found = extract_parameters(first)
    assert (found.type, found.memory_cost, found.time_cost, found.parallelism) == (Type.ID, 19456, 2, 1)
    assert first != second
    assert not PASSWORDS.needs_rehash(first)


def test_an_old_hash_is_to_be_renewed() -> None:
    """Other parameters, or another scheme."""
    weak = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(GOOD)
    assert PASSWORDS.verify(weak, GOOD)
    assert PASSWORDS.needs_rehash(weak)
    assert PASSWORDS.needs_rehash("$2b$12$abc")


@pytest.mark.parametrize("password_hash", [None, "", "!", "$2b$12$abc", "$argon2id$v=19$m=1,t=1,p=1$AA$AA"])
def test_no_password_fits_no_hash(password_hash: str | None) -> None:
    """An unknown account, one without a password, one with a hash of another scheme."""
    assert not PASSWORDS.verify(password_hash, GOOD)
    assert not PASSWORDS.verify(password_hash, "of nobody, to take as long as that of somebody")


def test_an_unknown_account_takes_as_long() -> None:
    """As a known one with a wrong password: neither is answered from the shelf."""
    hashed = PASSWORDS.hash(GOOD)

    def shortest(password_hash: str | None) -> float:
        times = []
        for _ in range(5):
            started = time.perf_counter()
            PASSWORDS.verify(password_hash, "another password")
            times.append(time.perf_counter() - started)
        return min(times)

    known = shortest(hashed)
    for password_hash in (None, "", "!"):
        assert shortest(password_hash) > known / 4


def test_a_megabyte_costs_nothing() -> None:
    """What cannot be a password is not hashed, whoever it is for."""
    hashed = PASSWORDS.hash(GOOD)
    started = time.perf_counter()
    for password in ("x" * 2**20, "\ud800" * 20, "ü" * 513):
        assert not PASSWORDS.verify(hashed, password)
        assert not PASSWORDS.verify(None, password)
    assert time.perf_counter() - started < 1
