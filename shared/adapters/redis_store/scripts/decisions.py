"""What webhooks decided."""

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
