-- One step of the node that serves a partition's inbox: renews or takes its lease, applies what became of entries, and reads what
-- waits. Every step is checked against the lease here, where it is written: a node that has lost it changes nothing.
-- KEYS 1-8 see lib/inbox-queue, 9 lease
-- ARGV 1 incarnation, 2 token of the lease that is held or '' to take it if anything waits, 3 its ttl (ms), 4 waiting entries after
--   this id or '', 5 most of these, 6 most parked dialogs, 7 how long a dialog that is given is not due again (ms), 8 entries after
--   this id that every group has acknowledged ('' from the start, '-' none), 9 most of these, 10 bound of an assistant's entries, 11
--   most dead letters, 12 their ttl (ms), then seven for each outcome: kind, 's' of the stream | 'p' parked, id, dialog, assistant,
--   attempts or '', time until it is due (ms) or '' (kind 'dead': the reason)
-- Result {'lost'}, {'held', ms left}, {'idle', next due (ms) or -1, standing} or {'served', token, read up to, '1' where there is
--   more, next due (ms) or -1, standing, {id, assistant, dialog, body, replay of or '', '1' where its dialog is parked}...,
--   {id, assistant, dialog, body, replay of or '', attempts}... of parked dialogs, {id, assistant, dialog, '1' where it was
--   delivered}... of acknowledged ones}, each list flat
-- @include time
-- @include inbox-queue

local stream, retained, parked, lease = KEYS[1], KEYS[3], KEYS[4], KEYS[9]
local now = nowMs()
local token = ARGV[2]
local max = tonumber(ARGV[10])
local holder = redis.call('GET', lease)

local function nextDue()
  local first = redis.call('ZRANGE', parked, 0, 0, 'WITHSCORES')
  return first[2] and math.max(tonumber(first[2]) - now, 0) or -1
end

if token ~= '' then
  if holder ~= token then
    return { 'lost' }
  end
  redis.call('PEXPIRE', lease, ARGV[3])
elseif holder then
  return { 'held', redis.call('PTTL', lease) }
else
  local due = nextDue()
  if redis.call('XLEN', stream) == 0 and due ~= 0 then
    redis.call('HSET', KEYS[2], '~asleep', '1')
    return { 'idle', due, standing(now, max) }
  end
  -- Redis time grows over any two holders, as a fence does.
  token = ARGV[1] .. ':' .. string.format('%.0f', now)
  redis.call('SET', lease, token, 'PX', ARGV[3])
end

local floor = floorOfGroups(stream)
for i = 13, #ARGV, 7 do
  local kind, from, id, dialog, assistant = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  if kind == 'read' then
    if (not floor or isBefore(id, floor)) and redis.call('XDEL', stream, id) == 1 then
      redis.call('SREM', retained, id)
      count(assistant, -1)
    end
  elseif kind == 'done' and from == 's' then
    leaveStream(floor, id, assistant)
  elseif kind == 'done' then
    if shift(dialog, id) then
      count(assistant, -1)
      restate(dialog, 0, now, now)
    end
  elseif kind == 'dead' then
    local entry = shift(dialog, id)
    if entry then
      count(assistant, -1)
      bury(dialog, entry, ARGV[i + 5], ARGV[i + 6], now, tonumber(ARGV[11]), tonumber(ARGV[12]))
      restate(dialog, 0, now, now)
    end
  else
    local tries = ARGV[i + 5] ~= '' and ARGV[i + 5] or nil
    local due = ARGV[i + 6] ~= '' and now + tonumber(ARGV[i + 6]) or nil
    if from == 's' then
      local entry = redis.call('XRANGE', stream, id, id)[1]
      if entry and leaveStream(floor, id, assistant) then
        local fields = fieldsOf(entry)
        redis.call('ZADD', listOf(dialog), scoreOf(id), table.concat({ id, assistant, fields.o or '', fields.e }, '\n'))
        count(assistant, 1)
        restate(dialog, tries, due, now)
      end
    else
      restate(dialog, tries, due, now)
    end
  end
end

local waiting = {}
local after, more = ARGV[4], '0'
local most = tonumber(ARGV[5])
if most > 0 then
  local found = redis.call('XRANGE', stream, after == '' and '-' or '(' .. after, '+', 'COUNT', most + 1)
  for i = 1, math.min(#found, most) do
    local id = found[i][1]
    after = id
    if redis.call('SISMEMBER', retained, id) == 0 then
      local fields = fieldsOf(found[i])
      waiting[#waiting + 1] = id
      waiting[#waiting + 1] = fields.a
      waiting[#waiting + 1] = fields.d
      waiting[#waiting + 1] = fields.e
      waiting[#waiting + 1] = fields.o or ''
      waiting[#waiting + 1] = redis.call('HEXISTS', KEYS[5], fields.d) == 1 and '1' or '0'
    end
  end
  if #found > most then
    more = '1'
  elseif #found == 0 then
    redis.call('HSET', KEYS[2], '~asleep', '1')
  end
end

local given = {}
local mostParked = tonumber(ARGV[6])
if mostParked > 0 then
  local due = redis.call('ZRANGEBYSCORE', parked, '-inf', string.format('%.0f', now), 'LIMIT', 0, mostParked)
  for i = 1, #due do
    local first = redis.call('ZRANGE', listOf(due[i]), 0, 0)[1]
    if first then
      redis.call('ZADD', parked, string.format('%.0f', now + tonumber(ARGV[7])), due[i])
      local id, assistant, replayOf, body = string.match(first, '^([^\n]*)\n([^\n]*)\n([^\n]*)\n(.*)$')
      given[#given + 1] = id
      given[#given + 1] = assistant
      given[#given + 1] = due[i]
      given[#given + 1] = body
      given[#given + 1] = replayOf
      given[#given + 1] = redis.call('HGET', KEYS[5], due[i]) or '0'
    else
      restate(due[i], nil, nil, now)
    end
  end
end

local read = {}
if ARGV[8] ~= '-' and (floor or redis.call('EXISTS', retained) == 1) then
  local from = ARGV[8] == '' and '-' or '(' .. ARGV[8]
  local found = redis.call('XRANGE', stream, from, floor and '(' .. floor or '+', 'COUNT', ARGV[9])
  for i = 1, #found do
    local fields = fieldsOf(found[i])
    read[#read + 1] = found[i][1]
    read[#read + 1] = fields.a
    read[#read + 1] = fields.d
    read[#read + 1] = redis.call('SISMEMBER', retained, found[i][1]) == 1 and '1' or '0'
  end
end

return { 'served', token, after, more, nextDue(), standing(now, max), waiting, given, read }
