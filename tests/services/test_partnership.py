"""What a change of a partner does to what it holds already."""

from __future__ import annotations

import pytest
from joserfc.jwk import ECKey

from hayat_fhir.app import Site
from hayat_fhir.errors import Unauthenticated
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.services.partner_details import PartnerDetails

_STAFF = Caller(Role.STAFF, "s", scopes=frozenset({"user/*.cruds"}))


async def test_tokens_end_with_the_keys_they_were_given_for(site: Site) -> None:
    """Other details leave a token alone; other keys, or none, end it for whoever has not shown it yet."""
    key = ECKey.generate_key("P-384", auto_kid=True).as_dict(private=False)
    partner = await site.registration.partner(PartnerDetails("East", jwks={"keys": [{**key}]}))
    before, unseen = [await site.registration.token_for_partner(partner.id) for _ in range(2)]
    await site.partnership.change(_STAFF, partner.id, {"host": "east.example"})
    assert (await site.authentication.caller(before)).subject == partner.id
    changed = await site.partnership.change(_STAFF, partner.id, {"jwks": None, "jwks_url": None})
    assert (changed.jwks, changed.host) == (None, "east.example")
    with pytest.raises(Unauthenticated):
        await site.authentication.caller(unseen)
    assert (await site.authentication.caller(await site.registration.token_for_partner(partner.id))).role == "partner"
