"""What the Redis engine runs inside Redis: each step is one script, which nothing interrupts.

Lives here: the scripts. Must not live here: when they run (lb.cluster.engines.redis).

The lock is one string, "TOKEN EPOCH NODE", that expires by itself. TOKEN EPOCH is the proof of a term; each
script that needs the lock compares it. The epoch is a key that never expires.
"""

from __future__ import annotations

# KEYS lock, epoch · ARGV token, node, milliseconds, above → the new epoch, or nil
ACQUIRE = """
local held = redis.call('GET', KEYS[1])
if held and string.sub(held, 1, #ARGV[1] + 1) ~= ARGV[1] .. ' ' then return false end
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
local epoch = string.format('%d', math.max(last, tonumber(ARGV[4])) + 1)
redis.call('SET', KEYS[2], epoch)
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. epoch .. ' ' .. ARGV[2], 'PX', ARGV[3])
return epoch
"""

# KEYS lock · ARGV proof, milliseconds → 1 or 0
RENEW = """
local held = redis.call('GET', KEYS[1])
if not held or string.sub(held, 1, #ARGV[1] + 1) ~= ARGV[1] .. ' ' then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

# KEYS lock · ARGV proof → 1 or 0
RELEASE = """
local held = redis.call('GET', KEYS[1])
if not held or string.sub(held, 1, #ARGV[1] + 1) ~= ARGV[1] .. ' ' then return 0 end
return redis.call('DEL', KEYS[1])
"""

# KEYS lock, epoch, values, versions, counter · ARGV proof ("": none needed), epoch of the term, channel, then
# four for each write: key, "set" or "del", the version expected ("": any), the value
# → {"ok", version of the last write} or {"deposed"} or {"conflict", key}
WRITE = """
if ARGV[1] ~= '' then
  local held = redis.call('GET', KEYS[1])
  local last = tonumber(redis.call('GET', KEYS[2]) or '0')
  if not held or string.sub(held, 1, #ARGV[1] + 1) ~= ARGV[1] .. ' ' or last > tonumber(ARGV[2]) then
    return {'deposed'}
  end
end
for i = 4, #ARGV, 4 do
  local version = redis.call('HGET', KEYS[4], ARGV[i]) or '0'
  if ARGV[i + 2] ~= '' and ARGV[i + 2] ~= version then return {'conflict', ARGV[i]} end
end
local version = '0'
for i = 4, #ARGV, 4 do
  version = string.format('%d', redis.call('INCR', KEYS[5]))
  if ARGV[i + 1] == 'set' then
    redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 3])
    redis.call('HSET', KEYS[4], ARGV[i], version)
  else
    redis.call('HDEL', KEYS[3], ARGV[i])
    redis.call('HDEL', KEYS[4], ARGV[i])
    version = '0'
  end
end
redis.call('PUBLISH', ARGV[3], 'changed')
return {'ok', version}
"""

# KEYS values, versions · ARGV key, or a beginning with "*" → {key, value, version, …}
READ = """
local found, names = {}, {}
if string.sub(ARGV[1], -1) == '*' then
  local start = string.sub(ARGV[1], 1, -2)
  for _, name in ipairs(redis.call('HKEYS', KEYS[2])) do
    if string.sub(name, 1, #start) == start then table.insert(names, name) end
  end
else
  table.insert(names, ARGV[1])
end
for _, name in ipairs(names) do
  local version = redis.call('HGET', KEYS[2], name)
  if version then
    table.insert(found, name)
    table.insert(found, redis.call('HGET', KEYS[1], name) or '')
    table.insert(found, version)
  end
end
return found
"""
