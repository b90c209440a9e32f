-- The control plane's epoch and stream. The including script includes `time` before it, and has in common: KEYS 1 epoch, 2 log;
-- ARGV 1 a fresh name, 2 lineage of the Redis process, 3 when the cluster first saw it (ms).

local function mintControl()
  redis.call('HSET', KEYS[1], 'e', ARGV[1], 'r', ARGV[2], 's', ARGV[3], 't', string.format('%.0f', nowMs()))
  return ARGV[1]
end

-- The epoch, a new one where there is none, or where a process that the cluster saw later may have lost a tail. A process seen
-- earlier is a node behind the news.
local function controlEpoch()
  local held = redis.call('HMGET', KEYS[1], 'e', 'r', 's')
  if not held[1] or (held[2] ~= ARGV[2] and tonumber(ARGV[3]) > (tonumber(held[3]) or 0)) then
    return mintControl()
  end
  return held[1]
end

-- Id of the newest entry ever, how many there ever were, how many are kept.
local function controlLog()
  if redis.call('EXISTS', KEYS[2]) == 0 then
    return '0-0', 0, 0
  end
  local info = redis.call('XINFO', 'STREAM', KEYS[2])
  local fields = {}
  for i = 1, #info, 2 do
    fields[info[i]] = info[i + 1]
  end
  return fields['last-generated-id'], fields['entries-added'], fields['length']
end
