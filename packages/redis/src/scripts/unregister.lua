-- Removes a connection; tells the dialog's nodes when it was its user's last live one.
-- KEYS 1 conns, 2 dialogs held by the incarnation, 3 writers, 4 main channel, 5-7 see lib/inbox: stream, counts, channel
-- ARGV 1 PUBLISH or SPUBLISH, 2 dialog, 3 connection, 4 incarnation, 5 live incarnations, 6 bound of an inbox
-- Result 1 where it was registered
-- @include time
-- @include present
-- @include inbox

local value = redis.call('HGET', KEYS[1], ARGV[3])
local _, user
if value then
  redis.call('HDEL', KEYS[1], ARGV[3])
  _, user = userOf(value)
end
local present, holds = false, false
-- The inbox hears of it when nothing is left of the user, also nothing of a dead node: its sweep will tell.
local remains = false
local all = redis.call('HVALS', KEYS[1])
for i = 1, #all do
  local incarnation, other = userOf(all[i])
  holds = holds or incarnation == ARGV[4]
  present = present or (other == user and isLive(ARGV[5], incarnation))
  remains = remains or (other == user and inboxOf(all[i]) ~= '')
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
if not remains then
  inboxUser(KEYS[5], KEYS[6], KEYS[7], ARGV[1], ARGV[6], inboxOf(value), ARGV[2], 'user_disconnected', memberOf(value), nowMs())
end
return 1
