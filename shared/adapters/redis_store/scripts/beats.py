"""What processes say of themselves."""

from shared.adapters.redis_store.scripts.common import COMMON

_BEATS = """
local function forget_beats(names)
  for _, name in ipairs(names) do
    redis.call('HDEL', KEYS[1], name)
    redis.call('ZREM', KEYS[2], name)
  end
end
"""

# KEYS: beats, beats:when. ARGV: name, beat, gone after, most.
# A time ahead of the clock is from before the clock went back, or from a stranger. The keys end
# by themselves when nobody beats any more.
BEAT = (
    COMMON
    + _BEATS
    + """
local time = now()
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], time, ARGV[1])
local gone = time - ARGV[3]
forget_beats(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', gone, 'LIMIT', 0, 1000))
forget_beats(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. time, '+inf', 'LIMIT', 0, 1000))
local over = math.min(redis.call('ZCARD', KEYS[2]) - ARGV[4], 1000)
if over > 0 then forget_beats(redis.call('ZRANGE', KEYS[2], 0, over - 1)) end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
"""
)

# KEYS: beats, beats:when. ARGV: name.
GOODBYE = _BEATS + "forget_beats({ARGV[1]})"

# KEYS: beats, beats:when. ARGV: gone after, most, longest beat.
# Returns name, beat, silence (ms), name, ...
ALIVE = (
    COMMON
    + """
local alive = {}
local time = now()
local heard = redis.call('ZRANGE', KEYS[2], time, '(' .. (time - ARGV[1]),
  'BYSCORE', 'REV', 'LIMIT', 0, ARGV[2], 'WITHSCORES')
for index = 1, #heard, 2 do
  local beat = redis.call('HGET', KEYS[1], heard[index])
  if beat and #beat <= tonumber(ARGV[3]) then
    table.insert(alive, heard[index])
    table.insert(alive, beat)
    table.insert(alive, time - heard[index + 1])
  end
end
return alive
"""
)
