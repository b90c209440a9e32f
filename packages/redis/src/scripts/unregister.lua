-- Removes a connection; tells the dialog's nodes when it was its user's last live one.
-- KEYS 1 conns, 2 dialogs held by the incarnation, 3 writers, 4 main channel
-- ARGV 1 PUBLISH or SPUBLISH, 2 dialog, 3 connection, 4 incarnation, 5 live incarnations
-- Result 1 where it was registered
-- @include present

local value = redis.call('HGET', KEYS[1], ARGV[3])
local _, user
if value then
  redis.call('HDEL', KEYS[1], ARGV[3])
  _, user = userOf(value)
end
local present, holds = false, false
local all = redis.call('HVALS', KEYS[1])
for i = 1, #all do
  local incarnation, other = userOf(all[i])
  holds = holds or incarnation == ARGV[4]
  present = present or (other == user and isLive(ARGV[5], incarnation))
end
-- Also for one that had given way to another before it came here.
if not holds then
  redis.call('SREM', KEYS[2], ARGV[2])
end
if not value then
  return 0
end
if not present then
  redis.call(ARGV[1], KEYS[4], 'l' .. wroteFlag(KEYS[3], user) .. '\n' .. memberOf(value))
end
return 1
