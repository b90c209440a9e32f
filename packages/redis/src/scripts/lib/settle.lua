-- The rule that names epochs, once for every script that reads or moves a position.
-- It takes eight ARGV of its own, behind the first `at`: 1 field prefix of the track ('' main, 'i' internal), 2 lineage of the
-- Redis process, 3 when the cluster first saw that lineage (ms), 4 a fresh name, 5 and 6 the highest position that the node has
-- seen (epoch or '', offset), 7 '1' where that position is proved wrong, 8 lifetime of a meta key that is made here (ms).

-- Clears the log: a new epoch and a new life, so that idempotency keys of the old life are not seen. The offset stays.
local function clear(at, meta, log)
  local p, name = ARGV[at + 1], ARGV[at + 4]
  redis.call('DEL', log)
  redis.call('HSET', meta, p .. 'e', name, p .. 'l', name)
end

-- Arguments are the track's fields as HMGET gives them. Returns epoch, life, offset.
local function settle(at, meta, log, epoch, life, offset, lineage, seen)
  local p, now, nowSeen, name = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  if not epoch then
    local new = redis.call('EXISTS', meta) == 0
    redis.call('DEL', log)
    redis.call('HSET', meta, p .. 'e', name, p .. 'l', name, p .. 'o', '0', p .. 'r', now, p .. 's', nowSeen)
    if new then
      redis.call('PEXPIRE', meta, ARGV[at + 8])
    end
    return name, name, 0
  end
  offset = tonumber(offset) or 0
  -- A process that the cluster saw later than the one that wrote: its data may have lost a tail. A process seen earlier is a
  -- node behind the news.
  local later = lineage ~= now and tonumber(nowSeen) > (tonumber(seen) or 0)
  local behind = epoch == ARGV[at + 5] and (ARGV[at + 7] == '1' or tonumber(ARGV[at + 6]) > offset)
  if later then
    redis.call('HSET', meta, p .. 'e', name, p .. 'r', now, p .. 's', nowSeen)
  elseif behind then
    redis.call('HSET', meta, p .. 'e', name)
  end
  if later or behind then
    return name, life, offset
  end
  return epoch, life, offset
end
