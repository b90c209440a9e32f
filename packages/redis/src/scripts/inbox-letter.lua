-- Takes a dead letter away, and puts it behind what waits where it is replayed.
-- KEYS 1 dead, 2 letters, see lib/inbox-queue; 3-5 see lib/inbox: stream, counts, channel
-- ARGV 1 id, 2 'replay' or 'discard', 3 PUBLISH or SPUBLISH
-- Result 1 where it was there
-- @include inbox

local letter = redis.call('HGET', KEYS[2], ARGV[1])
if not letter then
  return 0
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
if ARGV[2] == 'replay' then
  local assistant, dialog, replayOf, body =
    string.match(letter, '^([^\n]*)\n([^\n]*)\n[^\n]*\n[^\n]*\n[^\n]*\n([^\n]*)\n(.*)$')
  local open = string.sub(body, 1, -2)
  local first = replayOf ~= '' and replayOf or ARGV[1]
  local state = inboxState(KEYS[4], assistant)
  -- What it says of dropped events is of its own time.
  state[2] = false
  inboxPut(state, KEYS[3], KEYS[4], KEYS[5], ARGV[3], assistant, dialog, open, first)
end
return 1
