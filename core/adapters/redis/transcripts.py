"""Knows how transcripts are kept in Redis; see `pinnace.core.ports.Transcripts` for what it promises.

::

    PREFIX:{transcript:PROJECT:SESSION}:head            name, fence, mtime; `listed` once the project's list has it
    PREFIX:{transcript:PROJECT:SESSION}:parts           the key of the entries, by subpath
    PREFIX:{transcript:PROJECT:SESSION}:entries:SUBPATH the entries in their order, compressed where that is less
    ...:entries:SUBPATH:seen                            the prints of their `uuid`s
    PREFIX:{transcripts:PROJECT}:sessions               the sessions of a project

An append is one script, so it happens as a whole or not at all. Nothing expires: what was said is there until it is deleted. A
session is written into its project's list, which may be on another node of a cluster, after its first words; where somebody dies
between the two, the next append does it.
"""

from __future__ import annotations

import asyncio
import secrets
import zlib
from hashlib import blake2b
from typing import Any

import orjson

from pinnace.core.adapters.redis.connection import Argument, Connection
from pinnace.core.model.sessions import overtaken
from pinnace.core.ports import Clock, Entry, TranscriptKey

#: Bytes from which an entry is compressed.
_LONG = 256
#: Bytes after which a page of entries ends, and entries that are read at once.
_PAGE, _STEP = 4_000_000, 16

#: KEYS are the head and the parts; ARGV begins with the fence.
_GUARD = """
local fence = tonumber(ARGV[1])
if fence < tonumber(redis.call('HGET', KEYS[1], 'fence') or 0) then return 'overtaken' end
redis.call('HSET', KEYS[1], 'fence', string.format('%.0f', fence))
"""
#: Then the entries and their prints in KEYS; now in milliseconds, a name, the subpath, and a print and an entry by turns.
_APPEND = f"""{_GUARD}
local head, parts, entries, prints = unpack(KEYS)
redis.call('HSETNX', head, 'name', ARGV[3])
local mtime = math.max(tonumber(ARGV[2]), tonumber(redis.call('HGET', head, 'mtime') or 0) + 1)
redis.call('HSET', head, 'mtime', string.format('%.0f', mtime))
for i = 5, #ARGV, 2 do
  if ARGV[i] == '' or redis.call('SADD', prints, ARGV[i]) == 1 then redis.call('RPUSH', entries, ARGV[i + 1]) end
end
if #ARGV > 4 then redis.call('HSET', parts, ARGV[4], entries) end
if redis.call('HEXISTS', parts, '') == 1 and redis.call('HEXISTS', head, 'listed') == 0 then return 'unlisted' end
return 'listed'
"""
_LISTED = "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'listed', 1) end"
#: KEYS are the head and the entries; ARGV is how many were read already, and the bounds of a page.
_READ = """
local answer, first, size = {redis.call('HGET', KEYS[1], 'name')}, tonumber(ARGV[1]), 0
while size < tonumber(ARGV[2]) do
  local some = redis.call('LRANGE', KEYS[2], first, first + ARGV[3] - 1)
  if #some == 0 then break end
  for _, entry in ipairs(some) do
    answer[#answer + 1] = entry
    size = size + #entry
  end
  first = first + #some
end
return answer
"""
#: ARGV is the subpath of what is deleted, if it is not all, and another name, so that nobody goes on reading it.
_DELETE = """
if ARGV[1] then
  local entries = redis.call('HGET', KEYS[2], ARGV[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
  if entries then redis.call('UNLINK', entries, entries .. ':seen') end
  if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'name', ARGV[2]) end
  return
end
for _, entries in ipairs(redis.call('HVALS', KEYS[2])) do redis.call('UNLINK', entries, entries .. ':seen') end
redis.call('UNLINK', KEYS[1], KEYS[2])
"""
_ADD_SESSION = "redis.call('SADD', KEYS[1], ARGV[1])"
_DROP_SESSION = "redis.call('SREM', KEYS[1], ARGV[1])"


class RedisTranscripts:
    """`Transcripts` of all servers that use one Redis."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection, self._clock = connection, clock

    async def append(self, key: TranscriptKey, entries: list[Entry], *, fence: int = 0) -> None:
        written = await asyncio.to_thread(_written, entries)
        now, subpath = int(self._clock.now() * 1000), key.get("subpath") or ""
        head, parts, lines = self._head(key), self._parts(key), self._entries(key)
        done = await self._connection.call(
            _APPEND, [head, parts, lines, f"{lines}:seen"], fence, now, secrets.token_hex(8), subpath, *written
        )
        if done == b"overtaken":
            raise overtaken()
        if done == b"unlisted":
            await self._connection.call(_ADD_SESSION, [self._list(key["project_key"])], key["session_id"])
            await self._connection.call(_LISTED, [head])

    async def load(self, key: TranscriptKey) -> list[Entry] | None:
        keys, name, found = [self._head(key), self._entries(key)], None, list[bytes]()
        while True:
            then, *page = await self._connection.call(_READ, keys, len(found), _PAGE, _STEP)
            if found and then != name:
                # It was deleted, and perhaps begun anew.
                found = []
                continue
            if not page:
                break
            name, found = then, [*found, *page]
        return await asyncio.to_thread(lambda: [_read(entry) for entry in found]) if found else None

    async def list_subkeys(self, key: TranscriptKey) -> list[str]:
        found = await self._connection.call("return redis.call('HKEYS', KEYS[1])", [self._parts(key)])
        return sorted(subpath.decode() for subpath in found if subpath)

    async def list_sessions(self, project_key: str) -> list[dict[str, Any]]:
        members = await self._connection.call("return redis.call('SMEMBERS', KEYS[1])", [self._list(project_key)])
        ids = [member.decode() for member in members]
        keys = [self._head({"project_key": project_key, "session_id": session_id}) for session_id in ids]
        heads = await asyncio.gather(*(self._connection.fields(key, "mtime") for key in keys))
        said = sorted((int(mtime), session_id) for (mtime,), session_id in zip(heads, ids, strict=True) if mtime)
        found, last = list[dict[str, Any]](), 0
        for mtime, session_id in said:
            # Two servers may write in the same millisecond.
            last = max(mtime, last + 1)
            found.append({"session_id": session_id, "mtime": last})
        return found

    async def delete(self, key: TranscriptKey) -> None:
        keys, subpath = [self._head(key), self._parts(key)], key.get("subpath")
        if subpath:
            await self._connection.call(_DELETE, keys, subpath, secrets.token_hex(8))
            return
        # First, so that what is begun meanwhile is listed again.
        await self._connection.call(_DROP_SESSION, [self._list(key["project_key"])], key["session_id"])
        await self._connection.call(_DELETE, keys)

    async def guard(self, key: TranscriptKey, fence: int) -> None:
        if await self._connection.call(_GUARD, [self._head(key)], fence) == b"overtaken":
            raise overtaken()

    def _head(self, key: TranscriptKey) -> str:
        return self._connection.key(_group(key), "head")

    def _parts(self, key: TranscriptKey) -> str:
        return self._connection.key(_group(key), "parts")

    def _entries(self, key: TranscriptKey) -> str:
        return self._connection.key(_group(key), "entries", key.get("subpath") or "")

    def _list(self, project_key: str) -> str:
        return self._connection.key(["transcripts", project_key], "sessions")


def _group(key: TranscriptKey) -> list[str]:
    return ["transcript", key["project_key"], key["session_id"]]


def _written(entries: list[Entry]) -> list[Argument]:
    """A print and the text of each entry; the print is empty where it has no `uuid`."""
    written = list[Argument]()
    for entry in entries:
        text, uuid = orjson.dumps(entry), entry.get("uuid")
        written.append(blake2b(uuid.encode(), digest_size=12).digest() if isinstance(uuid, str) else b"")
        written.append(zlib.compress(text) if len(text) > _LONG else text)
    return written


def _read(kept: bytes) -> Entry:
    # A line of JSON begins with a brace, and what zlib made does not.
    entry: Entry = orjson.loads(kept if kept.startswith(b"{") else zlib.decompress(kept))
    return entry
