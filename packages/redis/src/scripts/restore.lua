-- Takes places again that are lost, whatever the limit says.
-- KEYS 1 counts, 2 places of the incarnation, 3 users of its places
-- ARGV 1 incarnation, 2 how long a place lasts (ms), then the members
-- Result how many were lost
-- @include time
-- @include places

local now = nowMs()
local restored = 0
for i = 3, #ARGV do
  if seat(KEYS[2], KEYS[3], ARGV[i], now) then
    restored = restored + 1
  end
end
-- Also where none was: the count may be what was lost.
local size = redis.call('ZCARD', KEYS[2])
if size > 0 then
  record(KEYS[1], ARGV[1], size, KEYS[2], KEYS[3], now, tonumber(ARGV[2]), 0)
end
return restored
