"""Knows how answers are kept in Redis; see `pinnace.core.ports.AnswerStore` for what it promises.

::

    PREFIX:{answers:KIND:PROJECT}:answer:NAME    `fingerprint`, `expires`, and `answer` once it is there
    PREFIX:{answers:KIND:PROJECT}:names          the keys above, by when each has expired, so that `forget` finds them

A key expires by itself; its name goes when it has, with one of the next that are kept.
"""

from __future__ import annotations

from pinnace.core.adapters.redis.connection import SPARE, Connection, lifetime
from pinnace.core.model.answers import AnswerId, AnswerKind, KeptAnswer

#: Names of expired answers that are cleared away whenever one is kept.
SWEPT = 100

#: KEYS are the answer and the names; ARGV is now, how long both live, SPARE in seconds, SWEPT, when it expires, the fingerprint,
#: and the answer where there is one.
_PUT = """
local function put()
  local key, names = KEYS[1], KEYS[2]
  local now, lives, spare, swept, expires, fingerprint, answer = unpack(ARGV)
  redis.call('DEL', key)
  redis.call('HSET', key, 'fingerprint', fingerprint, 'expires', expires)
  if answer then redis.call('HSET', key, 'answer', answer) end
  redis.call('PEXPIRE', key, lives)
  local gone = redis.call('ZRANGEBYSCORE', names, '-inf', string.format('%.17g', now - spare), 'LIMIT', 0, swept)
  if #gone > 0 then redis.call('ZREM', names, unpack(gone)) end
  redis.call('ZADD', names, expires, key)
  if redis.call('PTTL', names) < tonumber(lives) then redis.call('PEXPIRE', names, lives) end
end
"""
_KEEP = f"""{_PUT}
put()
"""
_CLAIM = f"""{_PUT}
local kept = redis.call('HMGET', KEYS[1], 'expires', 'fingerprint', 'answer')
if kept[1] and tonumber(kept[1]) > tonumber(ARGV[1]) then return {{kept[2], kept[3]}} end
put()
return false
"""
_RELEASE = """
if redis.call('HEXISTS', KEYS[1], 'answer') == 1 then return end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], KEYS[1])
"""
#: The keys that it finds are on the node of the names, since all have one hash tag.
_FORGET = """
local keys, count = redis.call('ZRANGE', KEYS[1], 0, -1), 0
for first = 1, #keys, 1000 do
  count = count + redis.call('UNLINK', unpack(keys, first, math.min(first + 999, #keys)))
end
redis.call('UNLINK', KEYS[1])
return count
"""


class RedisAnswerStore:
    """`AnswerStore` of all servers that use one Redis."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def claim(self, answer_id: AnswerId, fingerprint: str, now: float, until: float) -> KeptAnswer | None:
        kept = await self._put(_CLAIM, answer_id, KeptAnswer(fingerprint, None), now, until)
        return None if kept is None else KeptAnswer(kept[0].decode(), kept[1])

    async def keep(self, answer_id: AnswerId, answer: KeptAnswer, now: float, until: float) -> None:
        await self._put(_KEEP, answer_id, answer, now, until)

    async def look(self, answer_id: AnswerId, now: float) -> KeptAnswer | None:
        key, _ = self._keys(answer_id)
        expires, fingerprint, answer = await self._connection.fields(key, "expires", "fingerprint", "answer")
        if expires is None or fingerprint is None or float(expires) <= now:
            return None
        return KeptAnswer(fingerprint.decode(), answer)

    async def release(self, answer_id: AnswerId) -> None:
        await self._connection.call(_RELEASE, self._keys(answer_id))

    async def forget(self, kind: AnswerKind, project_id: str) -> int:
        return int(await self._connection.call(_FORGET, [self._names(kind, project_id)]))

    async def _put(
        self, script: str, answer_id: AnswerId, kept: KeptAnswer, now: float, until: float
    ) -> tuple[bytes, bytes | None] | None:
        answer = [] if kept.answer is None else [kept.answer]
        lives = lifetime(until - now)
        found: tuple[bytes, bytes | None] | None = await self._connection.call(
            script, self._keys(answer_id), now, lives, SPARE / 1000, SWEPT, until, kept.fingerprint, *answer
        )
        return found

    def _keys(self, answer_id: AnswerId) -> list[str]:
        group = ["answers", answer_id.kind.value, answer_id.project_id]
        return [
            self._connection.key(group, "answer", answer_id.name),
            self._names(answer_id.kind, answer_id.project_id),
        ]

    def _names(self, kind: AnswerKind, project_id: str) -> str:
        return self._connection.key(["answers", kind.value, project_id], "names")
