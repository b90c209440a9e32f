-- Raises a member's read mark and tells those who may see it.
-- KEYS 1 meta, 2 marks, 3 writers, 4 channel of the track
-- ARGV 1 PUBLISH or SPUBLISH, 2 'm' or 'i' for the track, 3 user, 4 offset, 5 member as JSON, 6 frame before the offset as
--   operators see it, 7 the same as visitors see it, 8 frame after the offset, 9 lifetime (ms), 10 most marks of a dialog
-- Result the stored offset
-- @include present

local user = ARGV[3]
local head = tonumber(redis.call('HGET', KEYS[1], ARGV[2] == 'i' and 'io' or 'o')) or 0
local wanted = math.min(tonumber(ARGV[4]), head)
local field = ARGV[2] .. ':' .. user
local stored = redis.call('HGET', KEYS[2], field)
local current = stored and math.min(tonumber(string.match(stored, '^%d+')), head) or 0
if wanted <= current then
  return current
end
if not stored and redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[10]) then
  return current
end
redis.call('HSET', KEYS[2], field, string.format('%.0f', wanted) .. '\n' .. ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[9])
local function tell(audience, head)
  redis.call(ARGV[1], KEYS[4], 'e' .. audience .. '\n' .. head .. string.format('%.0f', wanted) .. ARGV[8])
end
if ARGV[2] == 'i' then
  tell('o', ARGV[6])
elseif string.sub(user, 1, 8) ~= 'manager:' then
  tell('a', ARGV[6])
else
  tell('o', ARGV[6])
  if wroteFlag(KEYS[3], user) == '1' then
    tell('v', ARGV[7])
  end
end
return wanted
