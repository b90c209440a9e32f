-- Checks claims against the directory and registers connections, each for itself.
-- KEYS for each connection 1 meta, 2 conns, 3 dialogs held by the incarnation, 4 writers, 5 marks, 6 main channel, 7 streams, 8-10 see
--   lib/inbox: stream, counts, channel; then for each track whose head is wanted its log
-- ARGV 1 PUBLISH or SPUBLISH, 2 incarnation, 3 node id, 4 live incarnations, 5 lifetime of what connections need (ms), 6 lifetime of the
--   held set (ms), 7 most members to list, 8 bound of an inbox; then for each connection
--   1 for how many tracks the head is wanted, 2 dialog, 3 connection, 4 user, 5 member as JSON, 6 tenant, 7 assistant or '', 8 visitor
--   or '', 9 allowed assistants in lines or '' for any, 10 'strict' or 'open', 11 client id or '', 12 most live connections or 0,
--   13 'refuse' or 'replace', 14 inbox that is told: `<assistant> <tenant>` or ''; then for each of these tracks the eight of lib/settle
-- Result for each connection 'not_found', 'full' or these in lines: 'registered', tenant, assistant or '', visitor or '', closed '0'|'1',
--   members, members that visitors may know, '1' where this member wrote, older connections of the client with spaces between them or
--   '', the six values of lib/handoff, open streams, for each wanted track its epoch and head, members listed, then for each its JSON
--   and '0'|'1', then for each mark its track 'm'|'i', its offset, its member's JSON and '0'|'1'. None of them holds a line end.
-- The older connections stay: a call that its node has long given up may arrive after a newer one of the client, and must end nothing.
-- @include time
-- @include present
-- @include handoff
-- @include inbox
-- @include settle
-- @include head

local COMMON, OWN, OWN_KEYS = 8, 14, 10
local publish, incarnation, node, live = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local lifeMs, most, inboxMax = ARGV[5], tonumber(ARGV[7]), ARGV[8]
local nowAt = nowMs()
local now = string.format('%.0f', nowAt)

-- By the keys and arguments behind these.
local function register(key, arg, headCount)
  local meta, conns, held, writers = KEYS[key + 1], KEYS[key + 2], KEYS[key + 3], KEYS[key + 4]
  local channel = KEYS[key + 6]
  local stream, counts, wake = KEYS[key + 8], KEYS[key + 9], KEYS[key + 10]
  local dialog, connection, user, own = ARGV[arg + 2], ARGV[arg + 3], ARGV[arg + 4], ARGV[arg + 5]
  local client, inbox = ARGV[arg + 11], ARGV[arg + 14]
  local record = redis.call('HMGET', meta, 't', 'a', 'v', 'c', 'o', 'io', 'h', 'hv', 'hm', 'hr', 'f')
  local tenant, assistant, visitor = record[1], record[2], record[3]
  local changes = {}
  local function fix(field, value)
    changes[#changes + 1] = field
    changes[#changes + 1] = value
  end

  if not tenant then
    if ARGV[arg + 10] ~= 'open' then
      return 'not_found'
    end
    tenant = ARGV[arg + 6]
    fix('t', tenant)
  elseif tenant ~= ARGV[arg + 6] then
    return 'not_found'
  end
  if ARGV[arg + 7] ~= '' then
    if not assistant and ARGV[arg + 10] == 'open' then
      assistant = ARGV[arg + 7]
      fix('a', assistant)
    elseif assistant ~= ARGV[arg + 7] then
      return 'not_found'
    end
  end
  if ARGV[arg + 8] ~= '' then
    if not visitor then
      visitor = ARGV[arg + 8]
      fix('v', visitor)
    elseif visitor ~= ARGV[arg + 8] then
      return 'not_found'
    end
  end
  if ARGV[arg + 9] ~= '' and not (assistant and string.find(ARGV[arg + 9], '\n' .. assistant .. '\n', 1, true)) then
    return 'not_found'
  end

  -- One look at everybody, before anything is written.
  local wrote = wroteFlag(writers, user)
  local listed = { own, wrote }
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
    local holder, other = userOf(value)
    local lives = isLive(live, holder)
    if other == user then
      before = before or lives
      announced = announced or inboxOf(value) ~= ''
      if all[i] ~= connection then
        local since, its = cameAs(value)
        if client ~= '' and its == client then
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
  local limit = tonumber(ARGV[arg + 12])
  if limit > 0 and others >= limit then
    if ARGV[arg + 13] ~= 'replace' or not oldest then
      return 'full'
    end
    evicted[#evicted + 1] = { oldest, 'l' }
  end

  local new = #changes > 0 and redis.call('EXISTS', meta) == 0
  if #changes > 0 then
    redis.call('HSET', meta, unpack(changes))
  end
  if new then
    redis.call('PEXPIRE', meta, lifeMs)
  else
    redis.call('PEXPIRE', meta, lifeMs, 'GT')
  end
  if inbox ~= '' and not record[1] then
    inboxEvent(stream, counts, wake, publish, inboxMax, assistant, tenant, dialog, 'opened', '', nowAt)
  end
  for i = 1, #evicted do
    redis.call('HDEL', conns, evicted[i][1])
    redis.call(publish, channel, 'v' .. evicted[i][2] .. '\n' .. evicted[i][1])
  end
  redis.call('HSET', conns, connection, valueOf(incarnation, user, now, node, now, client, inbox, own))
  redis.call('PEXPIRE', conns, lifeMs)
  redis.call('SADD', held, dialog)
  redis.call('PEXPIRE', held, ARGV[6])
  if not before then
    redis.call(publish, channel, 'j' .. wrote .. '\n' .. own)
  end
  if inbox ~= '' and not announced then
    inboxUser(stream, counts, wake, publish, inboxMax, inbox, dialog, 'user_connected', own, nowAt)
  end

  local result = {
    'registered', tenant, assistant or '', visitor or '', record[4] == '1' and '1' or '0',
    members, visible, wrote, table.concat(older, ' '),
  }
  for _, value in ipairs(handoffIn({ record[7], record[8], record[9], record[10], record[11] }, writers)) do
    result[#result + 1] = value
  end
  result[#result + 1] = redis.call('HGET', KEYS[key + 7], '') or '0'
  for i = 1, headCount do
    local epoch, head = headOf(arg + OWN + 8 * (i - 1), meta, KEYS[key + OWN_KEYS + i])
    result[#result + 1] = epoch
    result[#result + 1] = string.format('%.0f', head)
  end
  result[#result + 1] = #listed / 2
  for i = 1, #listed do
    result[#result + 1] = listed[i]
  end
  local heads = { m = tonumber(record[5]) or 0, i = tonumber(record[6]) or 0 }
  -- A mark points into a history.
  local marks = heads.m + heads.i > 0 and redis.call('HGETALL', KEYS[key + 5]) or {}
  for i = 1, #marks, 2 do
    local track, marker = string.match(marks[i], '^(.):(.*)$')
    local offset, member = string.match(marks[i + 1], '^(%d+)\n(.*)$')
    -- A mark may outlive the history it points into.
    offset = math.min(tonumber(offset), heads[track])
    if offset > 0 then
      result[#result + 1] = track
      result[#result + 1] = string.format('%.0f', offset)
      result[#result + 1] = member
      result[#result + 1] = wroteFlag(writers, marker)
    end
  end
  return table.concat(result, '\n')
end

local results = {}
local key, arg = 0, COMMON
while ARGV[arg + 1] do
  local headCount = tonumber(ARGV[arg + 1])
  results[#results + 1] = register(key, arg, headCount)
  key = key + OWN_KEYS + headCount
  arg = arg + OWN + 8 * headCount
end
return results
