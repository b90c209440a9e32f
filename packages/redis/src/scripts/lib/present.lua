-- A value of the conns hash is eight lines: incarnation, user (`<role>:<id as JSON>`), time of writing (ms), node id, time of
-- registration (ms), client id or '', the inbox that is told of the user as `<assistant> <tenant>` or '', member as JSON. None of
-- them holds a line end. `live` is '\n' .. incarnations joined by '\n' .. '\n'.

local function valueOf(incarnation, user, stamp, node, since, client, inbox, member)
  return table.concat({ incarnation, user, stamp, node, since, client, inbox, member }, '\n')
end

local function isLive(live, incarnation)
  return string.find(live, '\n' .. incarnation .. '\n', 1, true) ~= nil
end

local function userOf(value)
  return string.match(value, '^([^\n]*)\n([^\n]*)\n')
end

-- Time of registration as text, client id.
local function cameAs(value)
  return string.match(value, '^[^\n]*\n[^\n]*\n[^\n]*\n[^\n]*\n([^\n]*)\n([^\n]*)\n')
end

local function inboxOf(value)
  return string.match(value, '^[^\n]*\n[^\n]*\n[^\n]*\n[^\n]*\n[^\n]*\n[^\n]*\n([^\n]*)\n')
end

local function memberOf(value)
  return string.match(value, '^.*\n(.*)$')
end

-- Whether the user has a live connection besides `except`.
local function isPresent(conns, live, user, except)
  local all = redis.call('HGETALL', conns)
  for i = 1, #all, 2 do
    if all[i] ~= except then
      local incarnation, other = userOf(all[i + 1])
      if other == user and isLive(live, incarnation) then
        return true
      end
    end
  end
  return false
end

-- '1' where visitors may know of the user: managers only once they have written in the main track.
local function wroteFlag(writers, user)
  if string.sub(user, 1, 8) ~= 'manager:' then
    return '1'
  end
  return redis.call('SISMEMBER', writers, user) == 1 and '1' or '0'
end
