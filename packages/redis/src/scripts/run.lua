-- Says which lineage a Redis process continues and when the cluster first saw it; the first who asks decides for all.
-- A new process starts a lineage of its own, seen now, unless it is proved to continue its predecessor's with nothing lost.
-- KEYS 1 runs: identity -> `<lineage>|<seen>`, `@last` the newest identity, `@seen` the newest time; 2 beats
-- ARGV 1 identity of the process, 2 the latest time of any lineage that this node knows (ms), 3 identity of the predecessor that
--   this node lived through, '' where that or its durability is not proved, 4 incarnation, 5 this node's newest acknowledged
--   heartbeat (ms) or '', 6 lifetime (ms), 7 most identities
-- Result {lineage, seen, 'known' | 'proved' | 'new'}
-- @include time

local runs = KEYS[1]
local function answer(value, how)
  local lineage, seen = string.match(value, '^(.*)|(%d+)$')
  return { lineage, seen, how }
end

local known = redis.call('HGET', runs, ARGV[1])
if known then
  return answer(known, 'known')
end
local last = redis.call('HMGET', runs, '@last', '@seen')
local value, how
if ARGV[3] ~= '' and ARGV[5] ~= '' and last[1] == ARGV[3] then
  local beat = redis.call('ZSCORE', KEYS[2], ARGV[4])
  value = beat and tonumber(beat) >= tonumber(ARGV[5]) and redis.call('HGET', runs, ARGV[3])
  how = 'proved'
end
if not value then
  local seen = math.max(nowMs(), (tonumber(last[2]) or 0) + 1, (tonumber(ARGV[2]) or 0) + 1)
  value = ARGV[1] .. '|' .. string.format('%.0f', seen)
  how = 'new'
  redis.call('HSET', runs, '@seen', string.format('%.0f', seen))
end
redis.call('HSET', runs, ARGV[1], value, '@last', ARGV[1])
redis.call('PEXPIRE', runs, ARGV[6])
local most = tonumber(ARGV[7])
if redis.call('HLEN', runs) > most then
  -- The oldest half goes; a process that is forgotten while it lives is only taken for a new one.
  local all = redis.call('HGETALL', runs)
  local seens = {}
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 1) ~= '@' and all[i] ~= ARGV[1] then
      seens[#seens + 1] = { all[i], tonumber(string.match(all[i + 1], '|(%d+)$')) or 0 }
    end
  end
  table.sort(seens, function(a, b) return a[2] < b[2] end)
  for i = 1, math.floor(#seens / 2) do
    redis.call('HDEL', runs, seens[i][1])
  end
end
return answer(value, how)
