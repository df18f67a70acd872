"""What scripts have in common: the server's time, and sets of what is under way."""

from shared.domain.step import Lane

_LANES = ", ".join(f"'{lane}'" for lane in Lane)

NOW = """
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
"""

# A full server refuses a script's first write, if that makes something, and none after it: what
# removes something stands behind.
COMMON = f"""
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
