"""The Lua scripts: each is one stroke on the server, with the server's clock.

Keys (behind the prefix), all times in milliseconds:

    record:<key>        string: a sealed record, until its end
    claim:<key>         string: whose request claim it is, for its life
    claim:nudge:<uid>   string: when somebody took it to nudge the owner of that uid, for a moment
    lease:<key>         hash chain, hop, lane, first_seen, tenant: the scan record, for its life
    steps               hash: what was claimed and not begun, by claim key
    steps:when          sorted set: when each of them was last published
    steps:seen:<lane>   sorted set: when each was first seen
    leases:when         sorted set: when each scan record ends
    leases:seen:<lane>  sorted set: when each scan was first seen
    leases:places       sorted set: when each scan record ends that has one of prewarm's places
    leases:of:<tenant>  sorted set: when each request and scan ends that counts for the tenant; ends
                        with the last of them
    polls               hash tokens, at (microseconds): the bucket of looks at analyses
    changed             channel: the keys of records that changed, nothing else
    decisions           stream, field decision: the last decisions of all webhooks, about 2 000
    beats               hash: what each process last said of itself, by its name
    beats:when          sorted set: when that was
    exceptions          hash: sealed exceptions by their ids, without a time to live
    exceptions:ends     sorted set: when each of them ends
    uses                sorted set: images as pods name them, with a question, by their last use
    leader:<name>       string: who leads, for a lease's life

Decisions and beats are for people: bounded, and read by nothing that decides. Uses are bounded and
believed by nobody: of one that no signed verdict is known of, nothing is asked.

A script gets the first names of `steps` and `leases` and derives the others from them (who claims
gets the tenant's alone); that holds in Redis Cluster too when the prefix has a hash tag.

A Redis user of our own for all services needs these rights, with the prefix `ig1:`, and no
others (tests/integration/test_redis_faults.py shows that they are enough; a user for each
service: docs/design/redis-rights.md):

    ~ig1:* &ig1:* +mget +evalsha +script|load +ping +scan +subscribe
    +get +set +del +getrange +publish +pexpire +pttl +time
    +hget +hmget +hset +hdel +hexists +hlen +hstrlen
    +zadd +zrem +zcard +zcount +zscore +zrange +zrangebyscore
    +zremrangebyscore +zremrangebyrank +xadd +xrevrange
"""

from shared.domain.step import Lane

_LANES = ", ".join(f"'{lane}'" for lane in Lane)

# A full server refuses a script's first write, if that makes something, and none after it: what
# removes something stands behind.
_COMMON = f"""
local LANES = {{ {_LANES} }}
local PREWARM = '{Lane.PREWARM}'
local CHECK = '{Lane.CHECK}'
local CHECK_PREWARM = '{Lane.CHECK_PREWARM}'
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
local function count(counted, member, life)
  redis.call('ZADD', counted, now() + life, member)
  if redis.call('PTTL', counted) < tonumber(life) then redis.call('PEXPIRE', counted, life) end
end
local function count_for(base, tenant, member, life)
  if tenant and tenant ~= '' then count(base .. ':of:' .. tenant, member, life) end
end
local function uncount_for(base, tenant, member)
  if tenant and tenant ~= '' then redis.call('ZREM', base .. ':of:' .. tenant, member) end
end
local function end_scan(record, base, key, chain)
  local held = redis.call('HMGET', record, 'chain', 'tenant')
  if held[1] == chain then
    redis.call('DEL', record)
    forget(base, key)
    redis.call('ZREM', base .. ':places', key)
    uncount_for(base, held[2], key)
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

# KEYS: lease, leases. ARGV: key, chain, hop, life, lane, first seen, tenant, claim.
# Returns the outcome, whose the record is, its lane, and whether there was none before.
HOLD = (
    _COMMON
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
    _COMMON
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
    _COMMON
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
ROOM = _COMMON + _PLACES + "return has_room(KEYS[1], ARGV[1]) and 1 or 0"

# KEYS: lease. Returns chain, lane, first seen.
HOLDER = "return redis.call('HMGET', KEYS[1], 'chain', 'lane', 'first_seen')"

# KEYS: lease, leases. ARGV: key, chain.
RELEASE = _COMMON + "end_scan(KEYS[1], KEYS[2], ARGV[1], ARGV[2])"

# KEYS: polls, leases. ARGV: rate, spare, the lane for people. Returns granted, wait (ms), what is
# left, scans under way, those for people. Who is not there is full: it ends when it would be.
TAKE_POLL = (
    _COMMON
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

# KEYS: claim, steps, leases in sight, and what counts for the tenant if there is one. ARGV: key,
# token, life, lane, first seen, step, cap, most of a tenant (0: no tenant).
# A token that is there already is our own, sent once more over a new connection. Tokens begin with
# their step's lane: people do not wait for what stands in prewarm's, nor for a scan in its lane.
CLAIM = (
    _COMMON
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
    _COMMON
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
