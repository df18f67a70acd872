"""Signed exceptions."""

from shared.adapters.redis_store.scripts.common import COMMON

# KEYS: exceptions, exceptions:ends. ARGV: sealed, ends, id, most ahead, most, channel, key.
# The very same record is our own, sent once more over a new connection. What does not begin with
# 16 digits is not ours and never wins.
PUT_EXCEPTION = (
    COMMON
    + """
local order = string.sub(ARGV[1], 1, 16)
local time = now()
if tonumber(order) > time + tonumber(ARGV[4]) then return 'ahead' end
if tonumber(ARGV[2]) <= time then return 'ended' end
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], '-inf', time, 'BYSCORE', 'LIMIT', 0, 1000)) do
  redis.call('HDEL', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
end
local held = redis.call('HGET', KEYS[1], ARGV[3])
if held == ARGV[1] then return 'written' end
local first = held and string.match(string.sub(held, 1, 16), '^%d+$')
if first and #first == 16 and first >= order then return 'older' end
if not held and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[5]) then return 'full' end
redis.call('HSET', KEYS[1], ARGV[3], ARGV[1])
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[3])
redis.call('PUBLISH', ARGV[6], ARGV[7])
return 'written'
"""
)

# KEYS: exceptions:ends. ARGV: most, longest id. Returns the ids of those that have not ended.
EXCEPTION_IDS = (
    COMMON
    + """
local ids = {}
local ends = redis.call('ZRANGE', KEYS[1], '+inf', '(' .. now(),
  'BYSCORE', 'REV', 'LIMIT', 0, ARGV[1])
for _, id in ipairs(ends) do
  if #id <= tonumber(ARGV[2]) then table.insert(ids, id) end
end
return ids
"""
)

# KEYS: exceptions. ARGV: longest, id, id, ... Returns id, sealed, id, ...
EXCEPTIONS = """
local found = {}
for index = 2, #ARGV do
  local length = redis.call('HSTRLEN', KEYS[1], ARGV[index])
  if length > 0 and length <= tonumber(ARGV[1]) then
    table.insert(found, ARGV[index])
    table.insert(found, redis.call('HGET', KEYS[1], ARGV[index]))
  end
end
return found
"""
