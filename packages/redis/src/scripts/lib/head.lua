-- Where a track stands. Takes the ARGV of settle, which the including script includes before this.

local function entryOffset(entry)
  return tonumber(string.match(entry[1], '^%d+'))
end

-- Returns epoch, head, the newest entry that is kept.
local function headOf(at, meta, log)
  local p = ARGV[at + 1]
  local m = redis.call('HMGET', meta, p .. 'e', p .. 'l', p .. 'o', p .. 'r', p .. 's')
  local epoch, _, head = settle(at, meta, log, m[1], m[2], m[3], m[4], m[5])
  local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  if newest and entryOffset(newest) > head then
    -- A log without its meta; see publish.
    clear(at, meta, log)
    return ARGV[at + 4], head, nil
  end
  return epoch, head, newest
end
