"""Requests are claimed, begun and, where nobody began them, found again."""

from shared.adapters.redis_store.scripts.common import COMMON

# KEYS: claim, steps, leases in sight, and what counts for the tenant if there is one. ARGV: key,
# token, life, lane, first seen, step, cap, most of a tenant (0: no tenant).
# A token that is there already is our own, sent once more over a new connection. Tokens begin with
# their step's lane: people do not wait for what stands in prewarm's, nor for a scan in its lane.
CLAIM = (
    COMMON
    + """
local most = tonumber(ARGV[8])
local counted = most > 0 and KEYS[#KEYS]
for index = 3, counted and #KEYS - 1 or #KEYS do
  local lane = redis.call('HGET', KEYS[index], 'lane')
  if lane and (ARGV[4] == PREWARM or lane ~= CHECK_PREWARM) then return 'scanning' end
end
local held = redis.call('GET', KEYS[1])
if held == ARGV[2] then return 'taken' end
if held and (ARGV[4] == PREWARM or string.sub(held, 1, #PREWARM + 1) ~= PREWARM .. ' ') then
  return 'held'
end
if counted and not redis.call('ZSCORE', counted, ARGV[1]) then
  if redis.call('ZCOUNT', counted, '(' .. now(), '+inf') >= most then return 'over' end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
if counted then
  count(counted, ARGV[1], ARGV[3])
  redis.call('ZREMRANGEBYSCORE', counted, '-inf', now())
end
local known = redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1
if not known and redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[7]) then return 'taken' end
local seen = redis.call('ZSCORE', KEYS[2] .. ':seen:' .. ARGV[4], ARGV[1])
seen = seen and math.min(seen, ARGV[5]) or ARGV[5]
redis.call('HSET', KEYS[2], ARGV[1], ARGV[6])
remember(KEYS[2], ARGV[1], now(), ARGV[4], seen)
return 'taken'
"""
)

# KEYS: leases. Returns when the oldest of them was first seen; nil: there is none.
BEGUN = """
local oldest = false
for index = 1, #KEYS do
  local seen = tonumber(redis.call('HGET', KEYS[index], 'first_seen') or '')
  if seen and (not oldest or seen < oldest) then oldest = seen end
end
return oldest
"""

# KEYS: claim, steps. ARGV: key.
BEGIN = (
    COMMON
    + """
redis.call('DEL', KEYS[1])
redis.call('HDEL', KEYS[2], ARGV[1])
forget(KEYS[2], ARGV[1])
"""
)

# KEYS: claim. ARGV: token, life (0: it ends). Returns whether it was nobody else's.
KEEP = """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then redis.call('DEL', KEYS[1]) return 1 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

# KEYS: claim.
DROP = "redis.call('DEL', KEYS[1])"

# KEYS: what counts for the tenant. ARGV: key.
FREE = "redis.call('ZREM', KEYS[1], ARGV[1])"

# KEYS: steps. ARGV: age, limit. Returns key, step, key, step, ...
OVERDUE = (
    COMMON
    + """
local named = {}
local time = now()
for _, key in ipairs(until_time(KEYS[1], time - ARGV[1], ARGV[2])) do
  local step = redis.call('HGET', KEYS[1], key)
  if step then
    redis.call('ZADD', KEYS[1] .. ':when', time, key)
    table.insert(named, key)
    table.insert(named, step)
  else
    forget(KEYS[1], key)
  end
end
return named
"""
)

# KEYS: steps. Returns lane, first seen, lane, first seen, ...
OLDEST_STEPS = (
    COMMON
    + """
local oldest = {}
for _, lane in ipairs(LANES) do
  local first = redis.call('ZRANGE', KEYS[1] .. ':seen:' .. lane, 0, 0, 'WITHSCORES')
  if first[1] then
    table.insert(oldest, lane)
    table.insert(oldest, first[2])
  end
end
return oldest
"""
)
