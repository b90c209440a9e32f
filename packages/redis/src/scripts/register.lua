-- Checks a claim against the directory and registers a connection.
-- KEYS 1 meta, 2 conns, 3 dialogs held by the incarnation, 4 writers, 5 marks, 6 main channel, 7 streams, 8-10 see lib/inbox:
--   stream, counts, channel; then for each track whose head is wanted its log
-- ARGV 1 PUBLISH or SPUBLISH, 2 dialog, 3 connection, 4 incarnation, 5 node id, 6 user, 7 member as JSON, 8 live incarnations,
--   9 tenant, 10 assistant or '', 11 visitor or '', 12 allowed assistants in lines or '' for any, 13 'strict' or 'open',
--   14 lifetime of what connections need (ms), 15 lifetime of the held set (ms), 16 most members to list, 17 client id or '',
--   18 most live connections or 0, 19 'refuse' or 'replace', 20 inbox that is told: `<assistant> <tenant>` or '', 21 its bound;
--   then for each of these tracks the eight of lib/settle
-- Result {'not_found'}, {'full'} or {'registered', tenant, assistant or '', visitor or '', closed '0'|'1', members, members that visitors
--   may know, '1' where this member wrote, older connections of the client in lines or '', the six values of lib/handoff, open
--   streams, for each wanted track its epoch and head, members listed, then for each its JSON and '0'|'1', then for each mark its
--   track 'm'|'i', its offset, its member's JSON and '0'|'1'}
-- The older connections stay: a call that its node has long given up may arrive after a newer one of the client, and must end nothing.
-- @include time
-- @include present
-- @include handoff
-- @include inbox
-- @include settle
-- @include head

local meta, conns, held, writers = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local user = ARGV[6]
local live = ARGV[8]
local record = redis.call('HMGET', meta, 't', 'a', 'v', 'c', 'o', 'io', 'h', 'hv', 'hm', 'hr', 'f')
local tenant, assistant, visitor = record[1], record[2], record[3]
local changes = {}
local function fix(field, value)
  changes[#changes + 1] = field
  changes[#changes + 1] = value
end

if not tenant then
  if ARGV[13] ~= 'open' then
    return { 'not_found' }
  end
  tenant = ARGV[9]
  fix('t', tenant)
elseif tenant ~= ARGV[9] then
  return { 'not_found' }
end
if ARGV[10] ~= '' then
  if not assistant and ARGV[13] == 'open' then
    assistant = ARGV[10]
    fix('a', assistant)
  elseif assistant ~= ARGV[10] then
    return { 'not_found' }
  end
end
if ARGV[11] ~= '' then
  if not visitor then
    visitor = ARGV[11]
    fix('v', visitor)
  elseif visitor ~= ARGV[11] then
    return { 'not_found' }
  end
end
if ARGV[12] ~= '' and not (assistant and string.find(ARGV[12], '\n' .. assistant .. '\n', 1, true)) then
  return { 'not_found' }
end

-- One look at everybody, before anything is written.
local wrote = wroteFlag(writers, user)
local listed = { ARGV[7], wrote }
local most = tonumber(ARGV[16])
local counted = { [user] = true }
local members, visible = 1, wrote == '1' and 1 or 0
local before = false
-- Also by a connection of a dead node, of which the inbox has not been told that it went.
local announced = false
local others = 0
local evicted, older = {}, {}
local oldest, oldestSince
local all = redis.call('HGETALL', conns)
for i = 1, #all, 2 do
  local value = all[i + 1]
  local incarnation, other = userOf(value)
  local lives = isLive(live, incarnation)
  if other == user then
    before = before or lives
    announced = announced or inboxOf(value) ~= ''
    if all[i] ~= ARGV[3] then
      local since, client = cameAs(value)
      if ARGV[17] ~= '' and client == ARGV[17] then
        older[#older + 1] = all[i]
      elseif lives then
        others = others + 1
        if not oldest or tonumber(since) < oldestSince then
          oldest, oldestSince = all[i], tonumber(since)
        end
      end
    end
  elseif lives then
    others = others + 1
    if not counted[other] then
      counted[other] = true
      local flag = wroteFlag(writers, other)
      members = members + 1
      if flag == '1' then
        visible = visible + 1
      end
      if members <= most then
        listed[#listed + 1] = memberOf(value)
        listed[#listed + 1] = flag
      end
    end
  end
end
local limit = tonumber(ARGV[18])
if limit > 0 and others >= limit then
  if ARGV[19] ~= 'replace' or not oldest then
    return { 'full' }
  end
  evicted[#evicted + 1] = { oldest, 'l' }
end

local new = #changes > 0 and redis.call('EXISTS', meta) == 0
if #changes > 0 then
  redis.call('HSET', meta, unpack(changes))
end
if new then
  redis.call('PEXPIRE', meta, ARGV[14])
else
  redis.call('PEXPIRE', meta, ARGV[14], 'GT')
end
local nowAt = nowMs()
if ARGV[20] ~= '' and not record[1] then
  inboxEvent(KEYS[8], KEYS[9], KEYS[10], ARGV[1], ARGV[21], assistant, tenant, ARGV[2], 'opened', '', nowAt)
end
for i = 1, #evicted do
  redis.call('HDEL', conns, evicted[i][1])
  redis.call(ARGV[1], KEYS[6], 'v' .. evicted[i][2] .. '\n' .. evicted[i][1])
end
local now = string.format('%.0f', nowAt)
redis.call('HSET', conns, ARGV[3], valueOf(ARGV[4], user, now, ARGV[5], now, ARGV[17], ARGV[20], ARGV[7]))
redis.call('PEXPIRE', conns, ARGV[14])
redis.call('SADD', held, ARGV[2])
redis.call('PEXPIRE', held, ARGV[15])
if not before then
  redis.call(ARGV[1], KEYS[6], 'j' .. wrote .. '\n' .. ARGV[7])
end
if ARGV[20] ~= '' and not announced then
  inboxUser(KEYS[8], KEYS[9], KEYS[10], ARGV[1], ARGV[21], ARGV[20], ARGV[2], 'user_connected', ARGV[7], nowAt)
end

local result = {
  'registered', tenant, assistant or '', visitor or '', record[4] == '1' and '1' or '0',
  members, visible, wrote, table.concat(older, '\n'),
}
for _, value in ipairs(handoffIn({ record[7], record[8], record[9], record[10], record[11] }, writers)) do
  result[#result + 1] = value
end
result[#result + 1] = redis.call('HGET', KEYS[7], '') or '0'
for i = 11, #KEYS do
  result[#result + 1], result[#result + 2] = headOf(21 + 8 * (i - 11), meta, KEYS[i])
end
result[#result + 1] = #listed / 2
for i = 1, #listed do
  result[#result + 1] = listed[i]
end
local heads = { m = tonumber(record[5]) or 0, i = tonumber(record[6]) or 0 }
-- A mark points into a history.
local marks = heads.m + heads.i > 0 and redis.call('HGETALL', KEYS[5]) or {}
for i = 1, #marks, 2 do
  local track, marker = string.match(marks[i], '^(.):(.*)$')
  local offset, member = string.match(marks[i + 1], '^(%d+)\n(.*)$')
  -- A mark may outlive the history it points into.
  offset = math.min(tonumber(offset), heads[track])
  if offset > 0 then
    result[#result + 1] = track
    result[#result + 1] = offset
    result[#result + 1] = member
    result[#result + 1] = wroteFlag(writers, marker)
  end
end
return result
