-- The rule that names epochs, once for every script that reads or moves a position.
-- The including script has the first ARGV in common: 1 field prefix of the track ('' main, 'i' internal), 2 lineage of the
-- Redis process, 3 when the cluster first saw that lineage (ms), 4 a fresh name, 5 and 6 the highest position that the node has
-- seen (epoch or '', offset), 7 '1' where that position is proved wrong, 8 lifetime of a meta key that is made here (ms).

-- Clears the log: a new epoch and a new life, so that idempotency keys of the old life are not seen. The offset stays.
local function clear(meta, log, name)
  redis.call('DEL', log)
  redis.call('HSET', meta, ARGV[1] .. 'e', name, ARGV[1] .. 'l', name)
end

-- Arguments are the track's fields as HMGET gives them. Returns epoch, life, offset.
local function settle(meta, log, epoch, life, offset, lineage, seen)
  local p = ARGV[1]
  if not epoch then
    local new = redis.call('EXISTS', meta) == 0
    redis.call('DEL', log)
    redis.call('HSET', meta, p .. 'e', ARGV[4], p .. 'l', ARGV[4], p .. 'o', '0', p .. 'r', ARGV[2], p .. 's', ARGV[3])
    if new then
      redis.call('PEXPIRE', meta, ARGV[8])
    end
    return ARGV[4], ARGV[4], 0
  end
  offset = tonumber(offset) or 0
  -- A process that the cluster saw later than the one that wrote: its data may have lost a tail. A process seen earlier is a
  -- node behind the news.
  local later = lineage ~= ARGV[2] and tonumber(ARGV[3]) > (tonumber(seen) or 0)
  local behind = epoch == ARGV[5] and (ARGV[7] == '1' or tonumber(ARGV[6]) > offset)
  if later then
    redis.call('HSET', meta, p .. 'e', ARGV[4], p .. 'r', ARGV[2], p .. 's', ARGV[3])
  elseif behind then
    redis.call('HSET', meta, p .. 'e', ARGV[4])
  end
  if later or behind then
    return ARGV[4], life, offset
  end
  return epoch, life, offset
end
