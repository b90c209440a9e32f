-- Removes connections; tells a dialog's nodes of each that was its user's last live one.
-- KEYS for each connection 1 conns, 2 dialogs held by the incarnation, 3 writers, 4 main channel, 5-7 see lib/inbox: stream, counts,
--   channel
-- ARGV 1 PUBLISH or SPUBLISH, 2 incarnation, 3 live incarnations, 4 bound of an inbox; then for each connection its dialog and it
-- Result how many were registered
-- @include time
-- @include present
-- @include inbox

local COMMON, OWN, OWN_KEYS = 4, 2, 7
local publish, incarnation, live, inboxMax = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

-- By the keys and arguments behind these. Returns whether it was registered.
local function unregister(key, arg)
  local conns, held, writers, channel = KEYS[key + 1], KEYS[key + 2], KEYS[key + 3], KEYS[key + 4]
  local dialog, connection = ARGV[arg + 1], ARGV[arg + 2]
  local value = redis.call('HGET', conns, connection)
  local _, user
  if value then
    redis.call('HDEL', conns, connection)
    _, user = userOf(value)
  end
  local present, holds = false, false
  -- The inbox hears of it when nothing is left of the user, also nothing of a dead node: its sweep will tell.
  local remains = false
  local all = redis.call('HVALS', conns)
  for i = 1, #all do
    local holder, other = userOf(all[i])
    holds = holds or holder == incarnation
    present = present or (other == user and isLive(live, holder))
    remains = remains or (other == user and inboxOf(all[i]) ~= '')
  end
  -- Also for one that had given way to another before it came here.
  if not holds then
    redis.call('SREM', held, dialog)
  end
  if not value then
    return false
  end
  if not present then
    redis.call(publish, channel, 'l' .. wroteFlag(writers, user) .. '\n' .. memberOf(value))
  end
  if not remains then
    inboxUser(KEYS[key + 5], KEYS[key + 6], KEYS[key + 7], publish, inboxMax, inboxOf(value), dialog, 'user_disconnected',
      memberOf(value), nowMs())
  end
  return true
end

local registered = 0
for n = 0, (#ARGV - COMMON) / OWN - 1 do
  if unregister(OWN_KEYS * n, COMMON + OWN * n) then
    registered = registered + 1
  end
end
return registered
