-- What is appended to a partition's inbox. `counts` is a hash: assistant -> entries that are not acknowledged, `!<assistant>` ->
-- events that were dropped since its last entry, `~all` -> entries together, `~asleep` there where the dispatcher wants to be woken.
-- An entry has the fields a assistant, d dialog, e body, and o where it is a dead letter again, that one's id.
-- Ids of assistants, tenants and dialogs hold nothing that JSON escapes.

-- Entries of the assistant, events dropped, '1' where the dispatcher sleeps.
local function inboxState(counts, assistant)
  return redis.call('HMGET', counts, assistant, '!' .. assistant, '~asleep')
end

-- `open` is the body without its closing brace.
local function inboxPut(state, stream, counts, channel, publish, assistant, dialog, open, replayOf)
  if state[2] then
    open = open .. ',"dropped":' .. state[2]
    redis.call('HDEL', counts, '!' .. assistant)
  end
  if replayOf then
    redis.call('XADD', stream, '*', 'a', assistant, 'd', dialog, 'e', open .. '}', 'o', replayOf)
  else
    redis.call('XADD', stream, '*', 'a', assistant, 'd', dialog, 'e', open .. '}')
  end
  redis.call('HINCRBY', counts, assistant, 1)
  redis.call('HINCRBY', counts, '~all', 1)
  if state[3] then
    redis.call('HDEL', counts, '~asleep')
    redis.call(publish, channel, '')
  end
end

local function inboxHead(kind, assistant, tenant, dialog, now)
  return '{"kind":"' .. kind .. '","assistant_id":"' .. assistant .. '","tenant":"' .. tenant .. '","dialog_id":"' .. dialog
    .. '","time":' .. string.format('%.0f', now)
end

-- Appends an event of a dialog; `more` is '' or begins with a comma. An event is never refused: at twice the bound (`max`) it is
-- dropped, and the next entry says how many were. For every script that changes what a backend is told of: opened, closed,
-- handoff, user_connected, user_disconnected.
local function inboxEvent(stream, counts, channel, publish, max, assistant, tenant, dialog, kind, more, now)
  local state = inboxState(counts, assistant)
  if (tonumber(state[1]) or 0) >= 2 * tonumber(max) then
    redis.call('HINCRBY', counts, '!' .. assistant, 1)
    return
  end
  inboxPut(state, stream, counts, channel, publish, assistant, dialog,
    inboxHead(kind, assistant, tenant, dialog, now) .. more)
end

-- An event of a user; `address` is the line of a conns value, `<assistant> <tenant>` or ''.
local function inboxUser(stream, counts, channel, publish, max, address, dialog, kind, member, now)
  local assistant, tenant = string.match(address, '^(%S+) (%S+)$')
  if not assistant then
    return
  end
  local known = cjson.decode(member)
  local user = cjson.encode({ role = known.role, id = known.id, name = known.name })
  inboxEvent(stream, counts, channel, publish, max, assistant, tenant, dialog, kind, ',"user":' .. user, now)
end
