"""Knows how rates and places are kept in Redis; see `pinnace.core.ports.Limiter` for what the limiter promises.

::

    PREFIX:{rate:NAME}:take:KIND    the arrival time of a limit, as `SECONDS NANOSECONDS`
    PREFIX:{rate:NAME}:places       who occupies a place, by when it is free at the latest

A number of Lua is exact up to 2^53, and the nanoseconds since the epoch are more. So the scripts reckon in nanoseconds from now,
which is exact up to 104 days, and a moment is kept in two parts. What a call takes under several names is on several nodes
of a cluster, and refused there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pinnace.core.adapters.redis.connection import SPARE, Argument, Connection, lifetime
from pinnace.core.model.limits import (
    SECOND,
    WINDOW,
    Lease,
    Meter,
    Take,
    arrival,
    check_arrivals,
    check_places,
    corrected,
    meters,
    moment_of,
)

#: ARGV is now in seconds and nanoseconds, SPARE, and how many of KEYS are moments.
_MOMENTS = """
local count = tonumber(ARGV[4])
local function read()
  return count > 0 and redis.call('MGET', unpack(KEYS, 1, count)) or {}
end
local function from_now(kept)
  if not kept then return 0 end
  local seconds, rest = string.match(kept, '^(%S+) (%S+)$')
  return math.max(0, (seconds - ARGV[1]) * 1e9 + (rest - ARGV[2]))
end
local function write(key, distance)
  local whole = ARGV[2] + distance
  local rest = math.fmod(whole, 1e9)
  if rest < 0 then rest = rest + 1e9 end
  local moment = string.format('%.0f %.0f', ARGV[1] + (whole - rest) / 1e9, rest)
  redis.call('SET', key, moment, 'PX', string.format('%.0f', math.max(0, math.ceil(distance / 1e6)) + ARGV[3]))
end
"""
#: Then the longest distance that is admitted, what each limit advances, and where a place is wanted: now, how many there are, who
#: wants it, until when, and how long that is.
_ENTER = f"""{_MOMENTS}
local kept, after, answer, late = read(), {{}}, {{'admitted'}}, false
for i = 1, count do
  after[i] = from_now(kept[i]) + ARGV[5 + i]
  late = late or after[i] > tonumber(ARGV[5])
  answer[i + 1] = string.format('%.0f', after[i])
end
if late then
  answer[1] = 'late'
  return answer
end
if #KEYS > count then
  local places, now, most, id, free_at, lives = KEYS[count + 1], unpack(ARGV, 6 + count)
  redis.call('ZREMRANGEBYSCORE', places, '-inf', now)
  if redis.call('ZCARD', places) >= tonumber(most) then
    answer[1] = 'full'
    return answer
  end
  redis.call('ZADD', places, free_at, id)
  if redis.call('PTTL', places) < tonumber(lives) then redis.call('PEXPIRE', places, lives) end
end
for i = 1, count do write(KEYS[i], after[i]) end
return answer
"""
#: Then by how much each limit is put right, and who leaves a place.
_LEAVE = f"""{_MOMENTS}
local kept = read()
for i = 1, count do write(KEYS[i], from_now(kept[i]) + ARGV[4 + i]) end
if #KEYS > count then redis.call('ZREM', KEYS[count + 1], ARGV[5 + count]) end
"""


class RedisLimiter:
    """`Limiter` of all servers that use one Redis."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def enter(self, takes: Sequence[Take], now: float, lease: Lease | None = None) -> Sequence[Meter]:
        keys = self._keys(takes, lease)
        if not keys:
            return []
        moment = moment_of(now)
        steps = [arrival(take, None, 0) for take in takes]
        wanted: list[Argument] = []
        if lease is not None:
            wanted = [now, lease.places, lease.id, lease.expires_at, lifetime(lease.expires_at - now)]
        status, *distances = await self._connection.call(
            _ENTER, keys, *divmod(moment, SECOND), SPARE, len(takes), WINDOW, *steps, *wanted
        )
        after = [moment + int(distance) for distance in distances]
        check_arrivals(takes, after, moment)
        if status == b"full" and lease is not None:
            check_places(lease, [math.inf] * lease.places, now)
        return meters(takes, after, moment)

    async def leave(self, corrections: Sequence[tuple[Take, int]], now: float, lease: Lease | None = None) -> None:
        keys = self._keys([take for take, _ in corrections], lease)
        if not keys:
            return
        steps = [corrected(take, None, 0, used) for take, used in corrections]
        left = [lease.id] if lease else []
        await self._connection.call(
            _LEAVE, keys, *divmod(moment_of(now), SECOND), SPARE, len(corrections), *steps, *left
        )

    def _keys(self, takes: Sequence[Take], lease: Lease | None) -> list[str]:
        keys = [self._connection.key(["rate", take.name], "take", take.kind) for take in takes]
        return keys if lease is None else [*keys, self._connection.key(["rate", lease.name], "places")]
