"""Who is online: every process knows all connections of the site, by reading along what each of them writes.

A doctor is online who is signed in, switched on, and in no consultation's room.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hayat_fhir.errors import Unavailable
from hayat_fhir.security.callers import Role
from hayat_fhir.store.presence import Connected, PresenceRows

Listener = Callable[[Connected | None, Connected | None], None]
"""Is told of a connection before and after its change; None: there was none, or there is none any more."""


class Presence:
    """The connections of the site, as this process knows them. ``process`` is its own name."""

    def __init__(self, rows: PresenceRows, process: str) -> None:
        self.process = process
        self._rows = rows
        self._own: dict[str, Connected] = {}
        self._known: dict[str, Connected] = {}
        self._by_account: dict[str, dict[str, Connected]] = {}
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Have every change told from now on."""
        self._listeners.append(listener)

    def get(self, id: str) -> Connected | None:
        """The connection with this id: of this process, or as far as is known."""
        return self._own.get(id) or self._known.get(id)

    def own(self, id: str) -> Connected | None:
        """The connection with this id, where it is of this process."""
        return self._own.get(id)

    def in_room(self, consultation: str) -> list[Connected]:
        """The connections in a consultation's room."""
        known = self._known | self._own
        return [one for one in known.values() if one.consultation == consultation]

    def rooms(self) -> set[str]:
        """The consultations in whose rooms people are who are connected to this process."""
        return {
            one.consultation
            for one in self._own.values()
            if one.consultation is not None and one.role in {Role.DOCTOR, Role.PATIENT}
        }

    def is_busy(self, account: str) -> bool:
        """Whether an account is in a consultation's room."""
        return any(one.consultation is not None for one in self._by_account.get(account, {}).values())

    def sockets(self, doctor: str) -> list[Connected]:
        """The sockets on which the doctor with this Practitioner id is online: none in a consultation."""
        return self.online().get(doctor, [])

    def online(self) -> dict[str, list[Connected]]:
        """The doctors online, by Practitioner id, each with the sockets on which they have switched on."""
        found: dict[str, list[Connected]] = {}
        for account, connections in self._by_account.items():
            switched_on = [one for one in connections.values() if one.online]
            if switched_on and not self.is_busy(account):
                found[switched_on[0].reference.rpartition("/")[2]] = switched_on
        return found

    def online_of(self, account: str) -> str | None:
        """The Practitioner id of an account whose doctor is online, else None."""
        connections = self._by_account.get(account, {}).values()
        switched_on = next((one for one in connections if one.online), None)
        if switched_on is None or self.is_busy(account):
            return None
        return switched_on.reference.rpartition("/")[2]

    async def put(self, one: Connected) -> None:
        """Store a connection of this process, or its change.

        Raises:
            Unavailable: The database does not answer; the next ``beat`` stores it.
        """
        self._own[one.id] = one
        await self._rows.put(one)

    async def change(self, id: str, **values: object) -> Connected | None:
        """Change a connection of this process; None where it has none with this id.

        Raises:
            Unavailable: The database does not answer.
        """
        one = self._own.get(id)
        if one is not None:
            one = replace(one, **values)  # type: ignore[arg-type]
            await self.put(one)
        return one

    async def remove(self, id: str) -> None:
        """Forget a connection of this process; where the database does not answer, ``beat`` removes it later."""
        if self._own.pop(id, None) is not None:
            try:
                await self._rows.remove(self.process, [id])
            except Unavailable:
                return

    async def beat(self) -> None:
        """Hold this process's lease, and remove what dead processes have left: to be called every five seconds.

        Raises:
            Unavailable: The database does not answer.
        """
        if not await self._rows.renew(self.process):
            await self._rows.put(*self._own.values())
        stale = [one.id for one in self._known.values() if one.process == self.process and one.id not in self._own]
        if stale:
            await self._rows.remove(self.process, stale)
        await self._rows.sweep()

    async def close(self) -> None:
        """Remove everything of this process."""
        self._own.clear()
        try:
            await self._rows.release(self.process)
        except Unavailable:
            return

    async def reload(self) -> None:
        """Read all connections again.

        Raises:
            Unavailable: The database does not answer.
        """
        fresh = {one.id: one for one in await self._rows.all()}
        for id in [id for id in self._known if id not in fresh]:
            self.apply(id, None)
        for id, one in fresh.items():
            self.apply(id, one)

    def apply(self, id: str, now: Connected | None) -> None:
        """Take in what has been written of a connection (None: removed)."""
        before = self._known.pop(id, None)
        if before is not None:
            rest = self._by_account[before.account]
            del rest[id]
            if not rest:
                del self._by_account[before.account]
        if now is not None:
            self._known[id] = now
            self._by_account.setdefault(now.account, {})[id] = now
        if before != now:
            for listener in self._listeners:
                listener(before, now)
