-- Position and entries of one track.
-- KEYS 1 meta, 2 log
-- ARGV 1-8 see lib/settle; 9 'up' (oldest first from 10) or 'down' (newest first from 10), 10 stream id or '+', 11 most entries
-- Result {epoch, head, oldest kept or head + 1, '1' where more are kept that way, id, value, id, value ...}
-- @include settle

local meta, log = KEYS[1], KEYS[2]
local p = ARGV[1]
local m = redis.call('HMGET', meta, p .. 'e', p .. 'l', p .. 'o', p .. 'r', p .. 's')
local epoch, _, head = settle(meta, log, m[1], m[2], m[3], m[4], m[5])

local function offsetOf(entry)
  return tonumber(string.match(entry[1], '^%d+'))
end

local oldest = head + 1
local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
if newest and offsetOf(newest) > head then
  -- A log without its meta; see publish.
  clear(meta, log, ARGV[4])
  epoch = ARGV[4]
elseif newest then
  oldest = offsetOf(redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1])
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
