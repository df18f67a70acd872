"""Uses of images, leadership, and nudges."""

from shared.adapters.redis_store.scripts.common import NOW

# KEYS: uses. ARGV: used for, most, time, use, time, use, ...
# Times ahead of the clock count as now.
RECORD_USES = (
    NOW
    + """
local time = now()
for index = 3, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], 'GT', math.min(ARGV[index], time), ARGV[index + 1])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', time - ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[2])
"""
)

# KEYS: uses. ARGV: used for, limit, longest use, and, to go on, time and use to come after.
# Returns use, time, use, time, ...: the latest first, of one time the greater bytes first, as the
# set has them (Lua's own comparison goes by the server's language). Too long ones are left out.
RECENT_USES = (
    NOW
    + """
local oldest = '(' .. (now() - ARGV[1])
local limit, longest = tonumber(ARGV[2]), tonumber(ARGV[3])
local function less(use, other)
  for index = 1, math.min(#use, #other) do
    local one, two = string.byte(use, index), string.byte(other, index)
    if one ~= two then return one < two end
  end
  return #use < #other
end
local found = {}
local offset = 0
while #found < 2 * limit do
  local page = redis.call('ZRANGE', KEYS[1], ARGV[4] or '+inf', oldest,
    'BYSCORE', 'REV', 'LIMIT', offset, limit, 'WITHSCORES')
  for index = 1, #page, 2 do
    local use, at = page[index], page[index + 1]
    if #use <= longest and #found < 2 * limit and (at ~= ARGV[4] or less(use, ARGV[5])) then
      table.insert(found, use)
      table.insert(found, at)
    end
  end
  if #page < 2 * limit then break end
  offset = offset + limit
end
return found
"""
)

# KEYS: uses. ARGV: used for.
COUNT_USES = NOW + "return redis.call('ZCOUNT', KEYS[1], '(' .. (now() - ARGV[1]), '+inf')"

# KEYS: leader. ARGV: owner, life.
LEAD = """
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

# KEYS: leader. ARGV: owner.
LEAVE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"

# KEYS: claim. ARGV: life.
# Returns -1 where it is taken now, else how long ago that was.
CLAIM_NUDGE = (
    NOW
    + """
local time = now()
local taken = redis.call('GET', KEYS[1])
if taken then return math.max(0, time - tonumber(taken)) end
redis.call('SET', KEYS[1], string.format('%.0f', time), 'PX', ARGV[1])
return -1
"""
)

# KEYS: claim.
DROP_NUDGE = "redis.call('DEL', KEYS[1])"
