"""The bucket of looks at analyses, shared by all workers."""

from shared.adapters.redis_store.scripts.common import COMMON

# KEYS: polls, leases. ARGV: rate, spare, the lane for people. Returns granted, wait (ms), what is
# left, scans under way, those for people. Who is not there is full: it ends when it would be.
TAKE_POLL = (
    COMMON
    + """
local rate = tonumber(ARGV[1])
local most = math.max(1, rate)
local time = redis.call('TIME')
local at = time[1] * 1000000 + time[2]
local held = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = most
if held[1] then
  tokens = math.min(most, held[1] + math.max(0, at - held[2]) * rate / 1000000)
end
local missing = 1 + ARGV[2] - tokens
local granted = missing <= 0.000001
local wait = 0
if granted then tokens = tokens - 1 else wait = math.ceil(1000 * missing / rate) end
local left = string.format('%.9f', tokens)
redis.call('HSET', KEYS[1], 'tokens', left, 'at', string.format('%.0f', at))
redis.call('PEXPIRE', KEYS[1], math.ceil(1000 * most / rate))
forget_ended(KEYS[2])
local under_way = redis.call('ZCARD', KEYS[2] .. ':when')
local for_people = redis.call('ZCARD', KEYS[2] .. ':seen:' .. ARGV[3])
return { granted and 1 or 0, wait, left, under_way, for_people }
"""
)
