"""Claims, assertions, grants, accounts and partners: unique where they must be, however many race."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hayat_fhir.errors import Conflict
from hayat_fhir.store.accounts import Account, Accounts
from hayat_fhir.store.assertions import Assertions
from hayat_fhir.store.claims import Claims
from hayat_fhir.store.database import Database, connect_sync
from hayat_fhir.store.grants import Grants
from hayat_fhir.store.partners import Partner, Partners, peers


async def test_claims_agree(database: Database) -> None:
    """A hundred racers agree on one id; a replacement moves all of them to one new id."""
    claims = Claims(database)
    agreed = set(await asyncio.gather(*(claims.reserve("k", f"id-{n}") for n in range(100))))
    assert len(agreed) == 1
    (old,) = agreed
    new = set(await asyncio.gather(*(claims.replace("k", old, f"new-{n}") for n in range(100))))
    assert len(new) == 1
    assert new != agreed
    assert {await claims.reserve("k", "late")} == new
    assert await claims.replace("k", old, "later") in new
    assert await claims.replace("fresh", "none", "first") == "first"


async def test_an_assertion_is_used_once(database: Database) -> None:
    """Of twenty parallel uses of one jti one is the first; another issuer's jti is another one."""
    assertions = Assertions(database)
    expires = datetime.now(UTC) + timedelta(minutes=5)
    firsts = await asyncio.gather(*(assertions.use("a", "jti", expires) for _ in range(20)))
    assert sum(firsts) == 1
    assert await assertions.use("b", "jti", expires)
    indexes = await database.collection("assertions").index_information()
    assert any("expireAfterSeconds" in index for index in indexes.values())


async def test_grants(database: Database) -> None:
    """A partner sees the patients shared with it, not those of a partner with a similar id."""
    grants = Grants(database)
    assert await grants.patients("p") == frozenset()
    assert await grants.add("p", "1")
    assert not await grants.add("p", "1")
    assert await grants.add("p", "2")
    assert await grants.add("p2", "3")
    assert await grants.patients("p") == {"1", "2"}
    await grants.remove("p", ["1"])
    assert await grants.patients("p") == {"2"}


async def test_accounts(database: Database) -> None:
    """An e-mail address names one account however it is written; what changes an account ends its tokens."""
    accounts = Accounts(database)
    account = Account("1", "doctor", " Ada@Example.org", "Ada", "hash", "Practitioner/1")
    racing = [accounts.add(replace(account, id=str(n))) for n in range(10)]
    outcomes = await asyncio.gather(*racing, return_exceptions=True)
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 9
    stored = await accounts.by_email("ada@example.ORG ")
    assert stored is not None
    assert stored == replace(account, id=stored.id, email="ada@example.org")
    assert await accounts.by_id(stored.id) == stored
    await accounts.rehash(stored, "stronger")
    assert await accounts.set_password(stored.id, "other")
    await accounts.rehash(stored, "too late")
    assert await accounts.disable(stored.id)
    changed = replace(stored, password_hash="other", disabled=True, epoch=2)
    assert await accounts.by_id(stored.id) == changed
    assert await accounts.enable(stored.id)
    assert await accounts.list() == [replace(changed, disabled=False, epoch=3)]
    assert not await accounts.disable("missing")
    assert await accounts.by_email("missing") is None


async def test_partners(database: Database, mongodb_url: str) -> None:
    """Partners are found by id, client id, name and AE title, which are unique; a PACS alone needs no FHIR address."""
    partners = Partners(database)
    hospital = Partner(
        "1", "A", "https://a/fhir", {"keys": [{"kty": "EC"}]}, None, "https://a/fhir", scopes=("system/*.rs",)
    )
    pacs = Partner("2", "PACS", "2", ae_title="PACS", host="127.0.0.1", port=104, patient_id_system="urn:x")
    await partners.add(hospital)
    await partners.add(pacs)
    await partners.add(Partner("3", "B", "3"))
    for clash in (replace(hospital, id="4"), replace(pacs, id="5", client_id="5", name="Other")):
        with pytest.raises(Conflict):
            await partners.add(clash)
    assert await partners.by_id("1") == hospital
    assert await partners.by_client_id("https://a/fhir") == hospital
    assert await partners.by_ae_title("PACS") == pacs
    assert await partners.by_name("PACS") == pacs
    assert await partners.by_id("9") is None
    assert [partner.name for partner in await partners.list()] == ["A", "B", "PACS"]
    threads = connect_sync(mongodb_url, database.name)
    with threads.client:
        assert peers(threads) == [pacs]
        assert await partners.disable("2")
        assert peers(threads) == []
    assert await partners.enable("2")
    assert not await partners.disable("9")
