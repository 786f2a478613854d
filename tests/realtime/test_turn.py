"""The TURN server of docker-compose.yml, with the arguments that stand there, and the credentials that people get."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aioice import stun

from hayat_fhir.realtime.ice import IceServers
from tests.realtime.turn_server import Turn, arguments, turn_server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Turn]:
    """The server, on this machine's loopback."""
    with turn_server(tmp_path, arguments()) as running:
        yield running


def _code(refused: pytest.ExceptionInfo[Any]) -> int:
    """The error code of a STUN answer."""
    return int(refused.value.response.attributes["ERROR-CODE"][0])


async def test_only_credentials_of_the_site_that_have_not_run_out_are_taken(server: Turn) -> None:
    """Neither static ones, nor another secret's, nor yesterday's."""
    username, credential = server.credentials("account")
    relay = await server.allocate(username, credential)
    relay.close()
    later = f"{int(username.partition(':')[0]) + 86_400}:{username.partition(':')[2]}"
    for wrong in (("user", "password"), (later, credential), (username, "x"), server.credentials("account", ago=7200)):
        with pytest.raises(stun.TransactionFailed) as refused:
            await server.allocate(*wrong)
        assert _code(refused) == 401


@pytest.mark.parametrize(
    "peer", ["127.0.0.1", "100.64.0.1", "10.1.2.3", "169.254.169.254", "172.16.0.1", "192.168.1.1"]
)
async def test_the_relay_leads_to_no_inner_network(server: Turn, peer: str) -> None:
    """Neither to this machine nor to private or link-local addresses; to others it does."""
    relay = await server.allocate(*server.credentials("account"))
    client: Any = relay._TurnTransport__inner_protocol  # type: ignore[attr-defined]
    with pytest.raises(stun.TransactionFailed) as refused:
        await client.channel_bind(0x4001, (peer, 9))
    assert _code(refused) == 403
    await client.channel_bind(0x4002, ("192.0.2.1", 9))
    relay.close()


async def test_an_account_gets_a_few_relays(server: Turn) -> None:
    """Also under credentials of different times."""
    relays = [await server.allocate(*server.credentials("account", ago=number)) for number in range(12)]
    with pytest.raises(stun.TransactionFailed) as refused:
        await server.allocate(*server.credentials("account", ago=60))
    assert _code(refused) == 486
    relays.append(await server.allocate(*server.credentials("another")))
    for relay in relays:
        relay.close()


def test_the_compose_file_names_a_range_that_can_be_opened() -> None:
    """A firewall rule: the relay's ports are few, and those of docker-compose.yml."""
    ports = dict(re.findall(r"--(min|max)-port=(\d+)", " ".join(arguments())))
    assert 0 < int(ports["max"]) - int(ports["min"]) <= 1000


def test_relay_only_is_told_to_both_sides() -> None:
    """Then neither learns the other's address: https://www.w3.org/TR/webrtc/#rtcicetransportpolicy-enum."""
    ice = IceServers(("turn:turn.hospital.example:3478",), b"secret", relay_only=True)
    assert ice.configuration("account")["iceTransportPolicy"] == "relay"


def test_nobody_elses_servers_are_named() -> None:
    """A site without servers of its own names none: the defaults of browsers' libraries would tell others who calls."""
    assert IceServers().configuration("account")["iceServers"] == []
