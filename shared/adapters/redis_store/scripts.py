"""The Lua scripts: each is one stroke on the server, with the server's clock.

Keys (behind the prefix), all times in milliseconds:

    record:<key>        string: a sealed record, until its end
    claim:<key>         string: whose request claim it is, for its life
    lease:<key>         hash chain, hop, lane, first_seen: the scan record, for its life
    steps               hash: what was claimed and not begun, by claim key
    steps:when          sorted set: when each of them was last published
    steps:seen:<lane>   sorted set: when each was first seen
    leases:when         sorted set: when each scan record ends
    leases:seen:<lane>  sorted set: when each scan was first seen
    changed             channel: the keys of records that changed, nothing else
    decisions           stream, field decision: the last decisions of all webhooks, about 2 000
    beats               hash: what each process last said of itself, by its name
    beats:when          sorted set: when that was
    exceptions          hash: sealed exceptions by their ids, without a time to live
    exceptions:ends     sorted set: when each of them ends

Decisions and beats are for people: bounded, and read by nothing that decides.

A script gets the first names of `steps` and `leases` and derives the others from them; that
holds in Redis Cluster too when the prefix has a hash tag.

A Redis user of our own for all services needs these rights, with the prefix `ig1:`, and no
others (tests/integration/test_redis_faults.py shows that they are enough; a user for each
service: docs/design/redis-rights.md):

    ~ig1:* &ig1:* +mget +evalsha +script|load +ping +scan +subscribe
    +get +set +del +exists +getrange +publish +pexpire +time
    +hget +hmget +hset +hdel +hexists +hlen +hstrlen
    +zadd +zrem +zcard +zscore +zrange +zrangebyscore +xadd +xrevrange
"""

from shared.domain.step import Lane

_LANES = ", ".join(f"'{lane}'" for lane in Lane)

_COMMON = f"""
local LANES = {{ {_LANES} }}
local PREWARM = '{Lane.PREWARM}'
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function forget(base, key)
  redis.call('ZREM', base .. ':when', key)
  for _, lane in ipairs(LANES) do redis.call('ZREM', base .. ':seen:' .. lane, key) end
end
local function remember(base, key, when, lane, seen)
  forget(base, key)
  redis.call('ZADD', base .. ':when', when, key)
  redis.call('ZADD', base .. ':seen:' .. lane, seen, key)
end
local function until_time(base, time, limit)
  return redis.call('ZRANGEBYSCORE', base .. ':when', '-inf', time, 'LIMIT', 0, limit)
end
local function forget_ended(base)
  for _, key in ipairs(until_time(base, now(), 1000)) do forget(base, key) end
end
local function end_scan(record, base, key, chain)
  if redis.call('HGET', record, 'chain') == chain then
    redis.call('DEL', record)
    forget(base, key)
  end
end
"""

# KEYS: record, lease, leases, channel. ARGV: sealed, ends, key, most ahead, scan key, chain.
# What does not begin with 16 digits is not ours and never wins.
PUT = (
    _COMMON
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

# KEYS: lease, leases. ARGV: key, chain, hop, life, lane, first seen.
HOLD = (
    _COMMON
    + """
local held = redis.call('HMGET', KEYS[1], 'chain', 'hop')
if held[1] and held[1] ~= ARGV[2] then return 'foreign' end
if held[1] and tonumber(held[2]) > tonumber(ARGV[3]) then return 'behind' end
redis.call('HSET', KEYS[1], 'chain', ARGV[2], 'hop', ARGV[3])
redis.call('HSET', KEYS[1], 'lane', ARGV[5], 'first_seen', ARGV[6])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
forget_ended(KEYS[2])
remember(KEYS[2], ARGV[1], now() + ARGV[4], ARGV[5], ARGV[6])
return 'held'
"""
)

# KEYS: lease, leases. ARGV: key, chain.
RELEASE = _COMMON + "end_scan(KEYS[1], KEYS[2], ARGV[1], ARGV[2])"

# KEYS: claim, steps, leases in sight. ARGV: key, token, life, lane, first seen, step, cap.
# A token that is there already is our own, sent once more over a new connection. Tokens begin with
# their step's lane: people do not wait for what stands in prewarm's.
CLAIM = (
    _COMMON
    + """
for index = 3, #KEYS do
  if redis.call('EXISTS', KEYS[index]) == 1 then return 'scanning' end
end
if not redis.call('SET', KEYS[1], ARGV[2], 'NX', 'PX', ARGV[3]) then
  local held = redis.call('GET', KEYS[1])
  if held == ARGV[2] then return 'taken' end
  if ARGV[4] == PREWARM or string.sub(held, 1, #PREWARM + 1) ~= PREWARM .. ' ' then
    return 'held'
  end
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
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

# KEYS: claim, steps. ARGV: key.
BEGIN = (
    _COMMON
    + """
redis.call('DEL', KEYS[1])
redis.call('HDEL', KEYS[2], ARGV[1])
forget(KEYS[2], ARGV[1])
"""
)

# KEYS: claim.
DROP = "redis.call('DEL', KEYS[1])"

# KEYS: steps. ARGV: age, limit. Returns key, step, key, step, ...
OVERDUE = (
    _COMMON
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
    _COMMON
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

# KEYS: leases. Returns lane, first seen, ... What has ended is passed over and not removed (the
# next hold does that): who only looks needs no right to write.
OLDEST_LEASES = (
    _COMMON
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

# KEYS: decisions. ARGV: most, decision, decision, ... A full server refuses the first XADD.
DECIDED = """
for index = 2, #ARGV do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'decision', ARGV[index])
end
"""

# KEYS: decisions. ARGV: first id, last id, limit, longest entry.
# Returns the id of the oldest entry looked at, empty when it was the last one, and then id,
# decision, id, decision, ...
RECENT = """
local entries = redis.call('XREVRANGE', KEYS[1], ARGV[2], ARGV[1], 'COUNT', ARGV[3])
local recent = { #entries == tonumber(ARGV[3]) and entries[#entries][1] or '' }
for _, entry in ipairs(entries) do
  local fields = entry[2]
  if fields[1] == 'decision' and #fields[2] <= tonumber(ARGV[4]) then
    table.insert(recent, entry[1])
    table.insert(recent, fields[2])
  end
end
return recent
"""

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
    _COMMON
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
    _COMMON
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

# KEYS: exceptions, exceptions:ends. ARGV: sealed, ends, id, most ahead, most, channel, key.
# The very same record is our own, sent once more over a new connection. What does not begin with
# 16 digits is not ours and never wins.
PUT_EXCEPTION = (
    _COMMON
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
    _COMMON
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
