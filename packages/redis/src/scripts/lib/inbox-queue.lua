-- A partition's inbox as its dispatcher sees it. The including script has the first KEYS in common: 1 stream, 2 counts (see
-- lib/inbox), 3 retained: ids that were delivered and stay for the consumer groups, 4 parked: dialog -> time at which it is due (ms),
-- 5 tries: dialog -> failed attempts of its first entry, 6 since: dialog -> time of its first entry (ms), 7 dead: id -> time of
-- death (ms), 8 letters: id -> `<assistant>\n<dialog>\n<attempts>\n<reason>\n<time of death>\n<replay of or ''>\n<body>`.
-- The parked entries of a dialog are a sorted set by id, named after `parked`: `<id>\n<assistant>\n<replay of or ''>\n<body>`.
-- An entry counts once where it waits in the stream, and once where it is parked.

local function listOf(dialog)
  return KEYS[4] .. ':' .. dialog
end

local function partsOf(id)
  local ms, number = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(number)
end

local function isBefore(a, b)
  local aMs, aNumber = partsOf(a)
  local bMs, bNumber = partsOf(b)
  return aMs < bMs or (aMs == bMs and aNumber < bNumber)
end

-- Exact to 2047 entries of one millisecond, until the year 2109; beyond, ids decide by their text.
local function scoreOf(id)
  local ms, number = partsOf(id)
  return string.format('%.0f', ms * 2048 + math.min(number, 2047))
end

-- The id before which every consumer group has acknowledged everything; nil where there is no group.
local function floorOfGroups(stream)
  local groups = redis.pcall('XINFO', 'GROUPS', stream)
  if groups.err or #groups == 0 then
    return nil
  end
  local floor
  for i = 1, #groups do
    local group = {}
    for j = 1, #groups[i], 2 do
      group[groups[i][j]] = groups[i][j + 1]
    end
    local edge
    if group['pending'] > 0 then
      edge = redis.call('XPENDING', stream, group['name'])[2]
    else
      local ms, number = string.match(group['last-delivered-id'], '^(%d+)-(%d+)$')
      edge = ms .. '-' .. string.format('%.0f', tonumber(number) + 1)
    end
    if not floor or isBefore(edge, floor) then
      floor = edge
    end
  end
  return floor
end

local function count(assistant, change)
  if redis.call('HINCRBY', KEYS[2], assistant, change) <= 0 then
    redis.call('HDEL', KEYS[2], assistant)
  end
  if redis.call('HINCRBY', KEYS[2], '~all', change) <= 0 then
    redis.call('HDEL', KEYS[2], '~all')
  end
end

-- Takes an entry out of the stream, or leaves it there for the groups alone. Returns whether it was waiting.
local function leaveStream(floor, id, assistant)
  if not floor or isBefore(id, floor) then
    local isRetained = redis.call('SREM', KEYS[3], id) == 1
    if redis.call('XDEL', KEYS[1], id) == 0 then
      return false
    end
    count(assistant, -1)
    return not isRetained
  end
  return #redis.call('XRANGE', KEYS[1], id, id) == 1 and redis.call('SADD', KEYS[3], id) == 1
end

local function fieldsOf(entry)
  local fields = {}
  for i = 1, #entry[2], 2 do
    fields[entry[2][i]] = entry[2][i + 1]
  end
  return fields
end

-- Makes the dialog's times those of its first parked entry. `tries` nil leaves them, `due` nil leaves it where it is.
local function restate(dialog, tries, due, now)
  local list = listOf(dialog)
  local first = redis.call('ZRANGE', list, 0, 0)[1]
  if not first then
    redis.call('ZREM', KEYS[4], dialog)
    redis.call('HDEL', KEYS[5], dialog)
    redis.call('ZREM', KEYS[6], dialog)
    return
  end
  if tries then
    redis.call('HSET', KEYS[5], dialog, tries)
  else
    redis.call('HSETNX', KEYS[5], dialog, 0)
  end
  redis.call('ZADD', KEYS[6], string.match(first, '^%d+'), dialog)
  if due then
    redis.call('ZADD', KEYS[4], string.format('%.0f', due), dialog)
  else
    redis.call('ZADD', KEYS[4], 'NX', string.format('%.0f', now), dialog)
  end
end

-- Takes the first parked entry of a dialog away where it is this one, and returns it.
local function shift(dialog, id)
  local list = listOf(dialog)
  local first = redis.call('ZRANGE', list, 0, 0)[1]
  if not first or string.match(first, '^[^\n]*') ~= id then
    return nil
  end
  redis.call('ZREM', list, first)
  return first
end

local function dropLetters(ids)
  for i = 1, #ids do
    redis.call('ZREM', KEYS[7], ids[i])
    redis.call('HDEL', KEYS[8], ids[i])
  end
end

local function bury(dialog, entry, attempts, reason, now, most, ttl)
  local id, assistant, replayOf, body = string.match(entry, '^([^\n]*)\n([^\n]*)\n([^\n]*)\n(.*)$')
  local at = string.format('%.0f', now)
  redis.call('ZADD', KEYS[7], at, id)
  redis.call('HSET', KEYS[8], id, table.concat({ assistant, dialog, attempts, reason, at, replayOf, body }, '\n'))
  dropLetters(redis.call('ZRANGEBYSCORE', KEYS[7], '-inf', string.format('%.0f', now - ttl), 'LIMIT', 0, 100))
  local over = redis.call('ZCARD', KEYS[7]) - most
  if over > 0 then
    dropLetters(redis.call('ZRANGE', KEYS[7], 0, over - 1))
  end
  redis.call('PEXPIRE', KEYS[7], ttl)
  redis.call('PEXPIRE', KEYS[8], ttl)
end

-- Entries, parked dialogs, dead letters, age of the oldest entry (ms), then every assistant that has reached the bound.
local function standing(now, max)
  local oldest
  local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  if first then
    oldest = (partsOf(first[1]))
  end
  local since = redis.call('ZRANGE', KEYS[6], 0, 0, 'WITHSCORES')
  if since[2] and (not oldest or tonumber(since[2]) < oldest) then
    oldest = tonumber(since[2])
  end
  local all = tonumber(redis.call('HGET', KEYS[2], '~all')) or 0
  local result = {
    string.format('%.0f', all), redis.call('ZCARD', KEYS[4]), redis.call('ZCARD', KEYS[7]),
    string.format('%.0f', oldest and math.max(now - oldest, 0) or 0),
  }
  if all >= max then
    local counts = redis.call('HGETALL', KEYS[2])
    for i = 1, #counts, 2 do
      if not string.match(counts[i], '^[!~]') and tonumber(counts[i + 1]) >= max then
        result[#result + 1] = counts[i]
      end
    end
  end
  return result
end
