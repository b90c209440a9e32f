-- Removes a dead incarnation's connections from one dialog. Any number of nodes may run it at once.
-- KEYS 1 conns, 2 dialogs held by the incarnation, 3 writers, 4 main channel, 5-7 see lib/inbox: stream, counts, channel
-- ARGV 1 PUBLISH or SPUBLISH, 2 dialog, 3 incarnation, 4 live incarnations, 5 time at which it was found dead (ms): what is
--   written later is of a node that came back, 6 bound of an inbox
-- Result how many were removed
-- @include time
-- @include present
-- @include inbox

local removed, kept = 0, 0
local gone, present, remains = {}, {}, {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local incarnation, user, stamp = string.match(all[i + 1], '^([^\n]*)\n([^\n]*)\n([^\n]*)\n')
  if incarnation == ARGV[3] then
    if tonumber(stamp) <= tonumber(ARGV[5]) then
      redis.call('HDEL', KEYS[1], all[i])
      removed = removed + 1
      gone[#gone + 1] = { user, memberOf(all[i + 1]), inboxOf(all[i + 1]) }
    else
      kept = kept + 1
      present[user] = true
      remains[user] = remains[user] or inboxOf(all[i + 1]) ~= ''
    end
  else
    -- Of another dead node: its own sweep tells the inbox.
    remains[user] = remains[user] or inboxOf(all[i + 1]) ~= ''
    if isLive(ARGV[4], incarnation) then
      present[user] = true
    end
  end
end
for i = 1, #gone do
  local user = gone[i][1]
  if not present[user] then
    present[user] = true
    redis.call(ARGV[1], KEYS[4], 'l' .. wroteFlag(KEYS[3], user) .. '\n' .. gone[i][2])
  end
  if gone[i][3] ~= '' and not remains[user] then
    remains[user] = true
    inboxUser(KEYS[5], KEYS[6], KEYS[7], ARGV[1], ARGV[6], gone[i][3], ARGV[2], 'user_disconnected', gone[i][2], nowMs())
  end
end
if kept == 0 then
  redis.call('SREM', KEYS[2], ARGV[2])
end
return removed
