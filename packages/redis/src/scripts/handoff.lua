-- Changes the handoff of a dialog and tells its nodes. A refusal leaves nothing behind.
-- KEYS 1 meta, 2 streams, 3 main channel, 4-7 texts, 8 ids of the sender's last actions, 9 writers,
--   10-12 see lib/inbox: stream, counts, channel
-- ARGV 1 PUBLISH or SPUBLISH, 2 action, 3 id, 4 user of the sender, 5 the operator's member as JSON or '', 6 and 7 the operator as
--   operators and as visitors see it, as JSON, 8 reason as JSON or '', 9 least new fence or 0 for the time, 10 '1' where the
--   directory must know the dialog, 11 lifetime of ids (ms), 12 most ids, 13 lifetime of a meta key that is made here (ms),
--   14 assistant whose inbox is told or '', 15 the inbox's bound, 16 dialog
-- Result {'done' | 'duplicate', then the six values of lib/handoff, then where a request was taken how long it had waited (ms)},
--   {'conflict' | 'closed' | 'not_found'}
-- @include time
-- @include present
-- @include fence
-- @include streams
-- @include handoff
-- @include inbox

local meta, ids, writers = KEYS[1], KEYS[8], KEYS[9]
local action, user = ARGV[2], ARGV[4]
local m = redis.call('HMGET', meta, 't', 'c', 'f', 'h', 'hl', 'hv', 'hm', 'hr', 'a', 'hw')
local state, life = m[4] or 'none', m[5] or ''
if ARGV[10] == '1' and not m[1] then
  return { 'not_found' }
end
local function answer(status)
  return { status, unpack(handoffOf(meta, writers)) }
end

-- What was done is a duplicate, also when the dialog has been closed since. Ids of an erased life are not seen.
local mine = life .. '|' .. action .. '|' .. ARGV[3]
for _, entry in ipairs(redis.call('LRANGE', ids, 0, -1)) do
  local itsLife, itsAction, id = string.match(entry, '^([^|]*)|(%a+)|(.*)$')
  if id == ARGV[3] and itsLife == life then
    return itsAction == action and answer('duplicate') or { 'conflict' }
  end
end
if m[2] == '1' then
  return { 'closed' }
end

local holder = m[7] and string.match(m[7], '^([^\n]*)\n')
local after
if action == 'request' then
  after = state ~= 'active' and 'requested'
elseif action == 'cancel' then
  after = state == 'requested' and 'cancelled'
elseif action == 'take' then
  after = (state ~= 'active' or holder == user) and 'active'
else
  after = state == 'active' and 'released'
end
if not after then
  return { 'conflict' }
end

local now = nowMs()
local waited = action == 'take' and state == 'requested' and m[10] and math.max(0, now - tonumber(m[10]))
if after ~= state then
  local new = redis.call('EXISTS', meta) == 0
  local operator, reason = m[7], m[8]
  if action == 'request' or action == 'cancel' then
    operator, reason = nil, ARGV[8] ~= '' and ARGV[8]
  elseif action == 'take' then
    operator = table.concat({ user, ARGV[5], ARGV[6], ARGV[7] }, '\n')
    local fence = math.max((tonumber(m[3]) or 0) + 1, tonumber(ARGV[9]))
    if ARGV[9] == '0' then
      fence = math.max(fence, now)
    end
    redis.call('HSET', meta, 'f', string.format('%.0f', fence))
    for _, stream in ipairs(allStreams()) do
      if stream.state == 'open' then
        endStream(stream, 'stale_fence', now)
      end
    end
  else
    reason = false
  end
  if life == '' then
    local time = redis.call('TIME')
    life = time[1] .. '.' .. time[2]
    mine = life .. mine
  end
  local version = (tonumber(m[6]) or 0) + 1
  redis.call('HSET', meta, 'h', after, 'hl', life, 'hv', version)
  if action == 'request' then
    redis.call('HSET', meta, 'hw', now)
  end
  if operator then
    redis.call('HSET', meta, 'hm', operator)
  else
    redis.call('HDEL', meta, 'hm')
  end
  if reason then
    redis.call('HSET', meta, 'hr', reason)
  else
    redis.call('HDEL', meta, 'hr')
  end
  if new then
    redis.call('PEXPIRE', meta, ARGV[13])
  end

  local function tell(audience, who)
    redis.call(ARGV[1], KEYS[3], 'h' .. audience .. ':' .. version .. '\n{"type":"handoff","state":"' .. after .. '"'
      .. (who and ',"operator":' .. who or '') .. (reason and ',"reason":' .. reason or '') .. '}')
  end
  if operator then
    local whose, _, toOperators, toVisitors = string.match(operator, '^([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)$')
    tell('o', toOperators)
    tell('v', wroteFlag(writers, whose) == '1' and toVisitors or '{"role":"manager"}')
  else
    tell('a')
  end
  if m[1] and m[9] and m[9] == ARGV[14] then
    local who = operator and string.match(operator, '^[^\n]*\n[^\n]*\n([^\n]*)\n')
    inboxEvent(KEYS[10], KEYS[11], KEYS[12], ARGV[1], ARGV[15], m[9], m[1], ARGV[16], 'handoff',
      ',"state":"' .. after .. '"' .. (who and ',"operator":' .. who or '') .. (reason and ',"reason":' .. reason or ''), now)
  end
end
redis.call('LPUSH', ids, mine)
redis.call('LTRIM', ids, 0, tonumber(ARGV[12]) - 1)
redis.call('PEXPIRE', ids, ARGV[11])
local done = answer('done')
if waited then
  done[#done + 1] = tostring(waited)
end
return done
