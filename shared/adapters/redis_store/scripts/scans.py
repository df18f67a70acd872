"""A verdict is written, a scan is held: whose it is, what lane it is in, its place."""

from shared.adapters.redis_store.scripts.common import COMMON

# KEYS: record, lease, leases, channel. ARGV: sealed, ends, key, most ahead, scan key, chain.
# What does not begin with 16 digits is not ours and never wins.
PUT = (
    COMMON
    + """
local order = string.sub(ARGV[1], 1, 16)
if tonumber(order) > now() + tonumber(ARGV[4]) then return 'ahead' end
if tonumber(ARGV[2]) <= now() then return 'ended' end
local held = redis.call('GETRANGE', KEYS[1], 0, 15)
local answer = 'older'
if not (string.match(held, '^%d+$') and #held == 16 and held >= order) then
  redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[2])
  redis.call('PUBLISH', KEYS[4], ARGV[3])
  answer = 'written'
end
if ARGV[5] ~= '' then end_scan(KEYS[2], KEYS[3], ARGV[5], ARGV[6]) end
return answer
"""
)

# KEYS: lease, leases. ARGV: key, chain, hop, life, lane, first seen, tenant, claim.
# Returns the outcome, whose the record is, its lane, and whether there was none before.
HOLD = (
    COMMON
    + """
local key, chain, hop, life = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local lane, seen, tenant = ARGV[5], ARGV[6], ARGV[7]
local held = redis.call('HMGET', KEYS[1], 'chain', 'hop', 'lane', 'first_seen', 'tenant')
local function told(outcome, lane, adopted)
  uncount_for(KEYS[2], ARGV[7], ARGV[8])
  return { outcome, held[1] or chain, lane, adopted }
end
local function keep(left)
  redis.call('HSET', KEYS[1], 'lane', lane, 'first_seen', seen, 'tenant', tenant)
  remember(KEYS[2], key, now() + left, lane, seen)
  if lane == CHECK then
    redis.call('ZREM', KEYS[2] .. ':places', key)
  else
    redis.call('ZADD', KEYS[2] .. ':places', 'XX', now() + left, key)
  end
  count_for(KEYS[2], tenant, key, left)
end
if held[1] and held[1] ~= chain then
  if lane ~= CHECK or held[3] == CHECK then return told('foreign', held[3], 0) end
  keep(redis.call('PTTL', KEYS[1]))
  return told('foreign', lane, 0)
end
if held[1] then
  if tonumber(held[2]) > tonumber(hop) then return told('behind', held[3], 0) end
  if held[3] == CHECK then lane = CHECK end
  seen = held[4]
  if held[5] and held[5] ~= '' then tenant = held[5] end
end
redis.call('HSET', KEYS[1], 'chain', chain, 'hop', hop)
redis.call('PEXPIRE', KEYS[1], life)
forget_ended(KEYS[2])
keep(life)
return told('held', lane, held[1] and 0 or 1)
"""
)

# KEYS: lease, leases. ARGV: key, chain, life. Returns whether it was the chain's.
RENEW = (
    COMMON
    + """
local held = redis.call('HMGET', KEYS[1], 'chain', 'tenant')
if held[1] ~= ARGV[2] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[2] .. ':when', 'XX', now() + ARGV[3], ARGV[1])
redis.call('ZADD', KEYS[2] .. ':places', 'XX', now() + ARGV[3], ARGV[1])
count_for(KEYS[2], held[2], ARGV[1], ARGV[3])
return 1
"""
)

_PLACES = """
local function has_room(base, most)
  return redis.call('ZCOUNT', base .. ':places', '(' .. now(), '+inf') < tonumber(most)
end
"""

# KEYS: lease, leases. ARGV: key, chain, most. Returns whether the chain may go on.
PLACE = (
    COMMON
    + _PLACES
    + """
local held = redis.call('HMGET', KEYS[1], 'chain', 'lane')
if held[1] ~= ARGV[2] then return 0 end
if held[2] == CHECK then return 1 end
local places = KEYS[2] .. ':places'
local ends = redis.call('ZSCORE', places, ARGV[1])
if ends and tonumber(ends) > now() then return 1 end
if not has_room(KEYS[2], ARGV[3]) then return 0 end
redis.call('ZADD', places, now() + redis.call('PTTL', KEYS[1]), ARGV[1])
redis.call('ZREMRANGEBYSCORE', places, '-inf', now())
return 1
"""
)

# KEYS: leases. ARGV: most.
ROOM = COMMON + _PLACES + "return has_room(KEYS[1], ARGV[1]) and 1 or 0"

# KEYS: lease. Returns chain, lane, first seen.
HOLDER = "return redis.call('HMGET', KEYS[1], 'chain', 'lane', 'first_seen')"

# KEYS: lease, leases. ARGV: key, chain.
RELEASE = COMMON + "end_scan(KEYS[1], KEYS[2], ARGV[1], ARGV[2])"

# KEYS: leases. Returns lane, first seen, ... What has ended is passed over and not removed (the
# next hold does that): who only looks needs no right to write.
OLDEST_LEASES = (
    COMMON
    + """
local time = now()
local oldest = {}
for _, lane in ipairs(LANES) do
  local seen = redis.call('ZRANGE', KEYS[1] .. ':seen:' .. lane, 0, 999, 'WITHSCORES')
  for index = 1, #seen, 2 do
    local ends = redis.call('ZSCORE', KEYS[1] .. ':when', seen[index])
    if ends and tonumber(ends) > time then
      table.insert(oldest, lane)
      table.insert(oldest, seen[index + 1])
      break
    end
  end
end
return oldest
"""
)
