"""Knows how projects, keys and audit entries lie in DynamoDB; see `pinnace.core.ports.Directory` for what the directory promises.

::

    pk              sk         holds
    project#ID      project    the project, its place in the list
    projects        0001...    the ids of all projects, in their order
    digest#DIGEST   key        the key, its place in its project's list; a call's key is found in one round trip
    key#ID          key        the digest
    keys#PROJECT    0001...    the digests of a project's keys, in their order
    keys            made       is there where a key was ever made
    audit           0001...    every act
    audit#PROJECT   0001...    a project's acts, by the same numbers
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from pinnace.core.adapters.documents import audit_from, encode, key_from, project_from
from pinnace.core.adapters.dynamodb.items import Action, Change, Check, ConditionFailed, Item, Put, Value, Where
from pinnace.core.adapters.dynamodb.recent import Recent
from pinnace.core.adapters.dynamodb.session import Session
from pinnace.core.adapters.dynamodb.table import Table
from pinnace.core.model.access import AuditEntry, Key, Project

_PROJECTS, _AUDIT = "projects", "audit"
_KEYS_WERE_MADE: Where = ("keys", "made")
_LAST = "9" * 16


class DynamoDirectory:
    """`Directory` in a table."""

    def __init__(self, table: Table) -> None:
        self._table = table
        # A key's digest never changes, and a use is noted by the key's id.
        self._digests: Recent[str] = Recent()

    async def add_project(self, project: Project) -> bool:
        return await self._table.run(lambda session: _add_project(session, project))

    async def project(self, project_id: str) -> Project | None:
        item = await self._table.run(lambda session: session.get(_project(project_id)))
        return None if item is None else project_from(str(item["document"]))

    async def projects(self, limit: int, after: str | None = None) -> Sequence[Project]:
        def work(session: Session) -> list[Item]:
            start = None if after is None else session.get(_project(after))
            return [] if after is not None and start is None else _page(session, _PROJECTS, start, limit, _project)

        return [project_from(str(item["document"])) for item in await self._table.run(work)]

    async def change_project(self, project: Project) -> bool:
        change = Change(_project(project.id))
        change.set("document", change.value(encode(project)))
        change.require_item()
        return await self._table.run(lambda session: _changed(session, change))

    async def add_key(self, key: Key) -> bool:
        return await self._table.run(lambda session: _add_key(session, key))

    async def find_key(self, digest: str) -> Key | None:
        return self._known(await self._table.run(lambda session: session.get(_key(digest))))

    async def any_key(self, key_id: str) -> Key | None:
        return self._known(await self._table.run(lambda session: self._find(session, key_id)))

    async def key(self, project_id: str, key_id: str) -> Key | None:
        found = await self.any_key(key_id)
        return found if found is not None and found.project_id == project_id else None

    async def keys(self, project_id: str, limit: int, after: str | None = None) -> Sequence[Key]:
        def work(session: Session) -> list[Item]:
            start = None if after is None else self._find(session, after)
            if after is not None and (start is None or start["project_id"] != project_id):
                return []
            return _page(session, f"keys#{project_id}", start, limit, _key)

        return [_key_from(item) for item in await self._table.run(work)]

    async def change_key(self, key: Key) -> bool:
        change = Change(_key(key.digest))
        change.set("document", change.value(encode(key)))
        if key.revoked_at is not None:
            change.set("revoked_at", f"if_not_exists({change.name('revoked_at')}, {change.value(key.revoked_at)})")
        _require_owner(change, key.project_id, key.id)
        return await self._table.run(lambda session: _changed(session, change))

    async def touch_key(self, project_id: str, key_id: str, at: float) -> None:
        def work(session: Session) -> None:
            digest = self._digest(session, key_id)
            if digest is None:
                return
            change = Change(_key(digest))
            last, moment = change.name("last_used_at"), change.value(at)
            change.set("last_used_at", moment)
            change.require(f"attribute_not_exists({last}) OR {last} < {moment}")
            _require_owner(change, project_id, key_id)
            _changed(session, change)

        await self._table.run(work)

    async def has_keys(self) -> bool:
        return await self._table.run(lambda session: session.get(_KEYS_WERE_MADE)) is not None

    async def record(self, entry: AuditEntry) -> None:
        values = {"document": encode(entry)}
        await self._table.run(
            lambda session: _append(
                session, _AUDIT, values, lambda number: [Put((f"audit#{entry.project_id}", number), values)]
            )
        )

    async def audit(self, project_id: str | None, limit: int) -> Sequence[AuditEntry]:
        listed = _AUDIT if project_id is None else f"audit#{project_id}"
        items = await self._table.run(lambda session: session.query(listed, limit=limit, latest_first=True))
        return [audit_from(str(item["document"])) for item in items]

    def _find(self, session: Session, key_id: str) -> Item | None:
        digest = self._digest(session, key_id)
        return None if digest is None else session.get(_key(digest))

    def _digest(self, session: Session, key_id: str) -> str | None:
        known = self._digests.get(key_id)
        if known is None:
            item = session.get((f"key#{key_id}", "key"))
            if item is None:
                return None
            known = str(item["digest"])
            self._digests.put(key_id, known)
        return known

    def _known(self, item: Item | None) -> Key | None:
        if item is None:
            return None
        key = _key_from(item)
        self._digests.put(key.id, key.digest)
        return key


def _project(project_id: str) -> Where:
    return f"project#{project_id}", "project"


def _key(digest: str) -> Where:
    return f"digest#{digest}", "key"


def _key_from(item: Item) -> Key:
    revoked_at, last_used_at = item.get("revoked_at"), item.get("last_used_at")
    return replace(
        key_from(str(item["document"])),
        revoked_at=None if revoked_at is None else float(revoked_at),
        last_used_at=None if last_used_at is None else float(last_used_at),
    )


def _add_project(session: Session, project: Project) -> bool:
    def others(number: str) -> list[Action]:
        return [Put(_project(project.id), {"document": encode(project), "number": number})]

    return _append(session, _PROJECTS, {"of": project.id}, others)


def _add_key(session: Session, key: Key) -> bool:
    moments = {"revoked_at": key.revoked_at, "last_used_at": key.last_used_at}
    values: dict[str, Value] = {name: moment for name, moment in moments.items() if moment is not None}
    values |= {"document": encode(key), "key_id": key.id, "project_id": key.project_id}

    def others(number: str) -> list[Action]:
        made = Change(_KEYS_WERE_MADE)
        made.set("since", f"if_not_exists({made.name('since')}, {made.value(key.created_at)})")
        return [
            Check(_project(key.project_id)),
            Put(_key(key.digest), values | {"number": number}),
            Put((f"key#{key.id}", "key"), {"digest": key.digest}),
            # A project's first key comes after this was written, so only that one meets those of other projects here.
            *([made] if int(number) == 1 else []),
        ]

    return _append(session, f"keys#{key.project_id}", {"of": key.digest}, others)


def _append(
    session: Session, listed: str, values: Mapping[str, Value], others: Callable[[str], Sequence[Action]]
) -> bool:
    """Write the next entry of a list, and what depends on its number; False where a condition of the others failed."""
    for _ in session.attempts():
        last = session.query(listed, limit=1, latest_first=True)
        number = f"{int(str(last[0]['sk'])) + 1 if last else 1:016}"
        try:
            session.transact(Put((listed, number), values), *others(number))
        except ConditionFailed as failed:
            if set(failed.items) != {0}:
                return False
            # Somebody else has taken the number.
            continue
        break
    return True


def _page(session: Session, listed: str, after: Item | None, limit: int, where: Callable[[str], Where]) -> list[Item]:
    """The items that a list names, in its order, after one of them."""
    # The mark makes it longer than the number itself, and it is less than the next one.
    first = "0" if after is None else f"{after['number']}#"
    wheres = [where(str(entry["of"])) for entry in session.query(listed, between=(first, _LAST), limit=limit)]
    found = session.get_many(wheres)
    return [found[one] for one in wheres if one in found]


def _changed(session: Session, change: Change) -> bool:
    try:
        session.change(change)
    except ConditionFailed:
        return False
    return True


def _require_owner(change: Change, project_id: str, key_id: str) -> None:
    for attribute, value in (("project_id", project_id), ("key_id", key_id)):
        change.require(f"{change.name(attribute)} = {change.value(value)}")
