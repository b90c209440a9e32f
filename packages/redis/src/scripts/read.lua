-- Position and entries of one track.
-- KEYS 1 meta, 2 log
-- ARGV 1-8 see lib/settle; 9 'up' (oldest first from 10) or 'down' (newest first from 10), 10 stream id or '+', 11 most entries
-- Result {epoch, head, oldest kept or head + 1, '1' where more are kept that way, id, value, id, value ...}
-- @include settle
-- @include head

local log = KEYS[2]
local epoch, head, newest = headOf(0, KEYS[1], log)
local oldest = head + 1
if newest then
  oldest = entryOffset(redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1])
end

local result = { epoch, head, oldest, '0' }
local limit = tonumber(ARGV[11])
if limit > 0 then
  local entries
  if ARGV[9] == 'up' then
    entries = redis.call('XRANGE', log, ARGV[10], '+', 'COUNT', limit + 1)
  else
    entries = redis.call('XREVRANGE', log, ARGV[10], '-', 'COUNT', limit + 1)
  end
  if #entries > limit then
    result[4] = '1'
  end
  for i = 1, math.min(#entries, limit) do
    result[#result + 1] = entries[i][1]
    result[#result + 1] = entries[i][2][2]
  end
end
return result
