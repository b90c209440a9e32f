-- Renews the lifetime of what a dialog's connections need, and restores registrations that are lost.
-- KEYS 1 meta, 2 conns, 3 dialogs held by the incarnation, 4 writers, 5 main channel, 6-8 see lib/inbox: stream, counts, channel
-- ARGV 1 PUBLISH or SPUBLISH, 2 dialog, 3 incarnation, 4 node id, 5 live incarnations, 6 lifetime of what connections need (ms),
--   7 lifetime of the held set (ms), 8 bound of an inbox, then for each connection: id, user, member as JSON, client id or '', the
--   inbox that is told of it as `<assistant> <tenant>` or ''
-- Result how many were restored
-- @include time
-- @include present
-- @include inbox

local function isAnnounced(conns, user)
  local all = redis.call('HVALS', conns)
  for i = 1, #all do
    local _, other = userOf(all[i])
    if other == user and inboxOf(all[i]) ~= '' then
      return true
    end
  end
  return false
end

local conns = KEYS[2]
local nowAt = nowMs()
local stamp = string.format('%.0f', nowAt)
local restored = 0
for i = 9, #ARGV, 5 do
  local connection, user, member = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local known = redis.call('HGET', conns, connection)
  local since = known and cameAs(known) or stamp
  local value = valueOf(ARGV[3], user, stamp, ARGV[4], since, ARGV[i + 3], ARGV[i + 4], member)
  local isNews = not known and ARGV[i + 4] ~= '' and not isAnnounced(conns, user)
  -- Written even where it is there: the fresh time tells a sweeper which takes this incarnation for dead to leave it.
  if redis.call('HSET', conns, connection, value) == 1 then
    restored = restored + 1
    if not isPresent(conns, ARGV[5], user, connection) then
      redis.call(ARGV[1], KEYS[5], 'j' .. wroteFlag(KEYS[4], user) .. '\n' .. member)
    end
  end
  if isNews then
    inboxUser(KEYS[6], KEYS[7], KEYS[8], ARGV[1], ARGV[8], ARGV[i + 4], ARGV[2], 'user_connected', member, nowAt)
  end
end
redis.call('PEXPIRE', conns, ARGV[6])
redis.call('SADD', KEYS[3], ARGV[2])
redis.call('PEXPIRE', KEYS[3], ARGV[7])
redis.call('PEXPIRE', KEYS[1], ARGV[6], 'GT')
return restored
