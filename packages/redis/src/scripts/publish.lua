-- Appends one publication. A refusal leaves nothing behind.
-- KEYS 1 meta, 2 log, 3 channel, 4 idempotency key, 5 window, 6 writers, 7 conns, 8 marks; for an inbox 9-11 see lib/inbox: stream,
--   counts, channel
-- ARGV 1-8 see lib/settle; 9 PUBLISH or SPUBLISH, 10 origin `<incarnation>:<request>`, 11 frame before the offset, 12 frame
--   after the time, 13 digest, 14 idempotency ttl (ms), 15 window limit (0 off), 16 window (ms), 17 fence or '', 18 '1' where the
--   directory must know the dialog, 19 history size, 20 history ttl (ms), 21 ttl to set on the log (ms, a little longer, so that
--   it is set seldom), 22 ttl of meta, writers and marks (ms), 23 user of the sender (`<role>:<id as JSON>`), 24 '1' where what
--   the window refuses is appended all the same, without room in the window; for an inbox 25 the assistant whose it is, 26 its
--   bound, 27 dialog
-- Result {'appended' | 'duplicate', epoch, offset}, {'appended', epoch, offset, 1} past the window, {'rate_limited', ms},
--   {'conflict' | 'stale_fence' | 'closed' | 'not_found' | 'inbox_full'}
-- @include time
-- @include window
-- @include settle
-- @include present
-- @include fence
-- @include inbox

local meta, log, idem, window = KEYS[1], KEYS[2], KEYS[4], KEYS[5]
local p = ARGV[1]
local m = redis.call('HMGET', meta, p .. 'e', p .. 'l', p .. 'o', p .. 'r', p .. 's', 't', 'c', 'f', 'h')
if ARGV[18] == '1' and not m[6] then
  return { 'not_found' }
end
local epoch, life, head = settle(0, meta, log, m[1], m[2], m[3], m[4], m[5])
local offset = head + 1

-- First of all the key: what was appended is a duplicate, also when the dialog has been closed since.
local mine = '|' .. offset .. '|' .. ARGV[13]
local earlier = redis.call('SET', idem, life .. mine, 'NX', 'GET', 'PX', ARGV[14])
if earlier then
  local itsLife, itsOffset, itsDigest = string.match(earlier, '^([^|]*)|(%d+)|(.*)$')
  if itsLife == life then
    if itsDigest ~= ARGV[13] then
      return { 'conflict' }
    end
    return { 'duplicate', epoch, tonumber(itsOffset) }
  end
  redis.call('SET', idem, life .. mine, 'PX', ARGV[14])
end

if m[7] == '1' and p == '' then
  redis.call('DEL', idem)
  return { 'closed' }
end
local fence = tonumber(ARGV[17])
local held = tonumber(m[8])
if isStale(fence, held, m[9], ARGV[23]) then
  redis.call('DEL', idem)
  return { 'stale_fence' }
end

local now = nowMs()
local limit = tonumber(ARGV[15])
local windowMs = tonumber(ARGV[16])
local wait = limit > 0 and listWait(window, limit, windowMs, 1, now) or 0
if wait > 0 and ARGV[24] ~= '1' then
  redis.call('DEL', idem)
  return { 'rate_limited', wait }
end

local inbox
if ARGV[25] then
  inbox = inboxState(KEYS[10], ARGV[25])
  if (tonumber(inbox[1]) or 0) >= tonumber(ARGV[26]) then
    redis.call('DEL', idem)
    return { 'inbox_full' }
  end
end

local frame = ARGV[11] .. offset .. ',"timestamp":' .. string.format('%.0f', now) .. ARGV[12]
local function payload()
  return 'p' .. epoch .. ':' .. offset .. ':' .. ARGV[10] .. '\n' .. frame
end
local bytes = payload()
local added = redis.pcall('XADD', log, 'MAXLEN', ARGV[19], offset .. '-0', 'd', bytes)
if type(added) == 'table' and added.err then
  -- The stream's top is at or above this offset: a log without its meta. It would refuse every append for ever.
  clear(0, meta, log)
  epoch = ARGV[4]
  redis.call('SET', idem, epoch .. mine, 'PX', ARGV[14])
  bytes = payload()
  redis.call('XADD', log, 'MAXLEN', ARGV[19], offset .. '-0', 'd', bytes)
end
if fence and (not held or fence > held) then
  redis.call('HSET', meta, p .. 'o', offset, 'f', ARGV[17])
else
  redis.call('HSET', meta, p .. 'o', offset)
end
redis.call(ARGV[9], KEYS[3], bytes)
if inbox then
  inboxPut(inbox, KEYS[9], KEYS[10], KEYS[11], ARGV[9], ARGV[25], ARGV[27],
    inboxHead('message', ARGV[25], m[6] or '', ARGV[27], now) .. ',"epoch":"' .. epoch .. '","message":' .. frame)
end

if limit > 0 and wait == 0 then
  listAdd(window, limit, windowMs, 1, now)
end
if redis.call('PTTL', log) < tonumber(ARGV[20]) then
  redis.call('PEXPIRE', log, ARGV[21])
  -- GT leaves a meta without a lifetime alone: the directory's.
  redis.call('PEXPIRE', meta, ARGV[22], 'GT')
  redis.call('PEXPIRE', KEYS[6], ARGV[22])
  redis.call('PEXPIRE', KEYS[8], ARGV[22])
end
if p == '' and string.sub(ARGV[23], 1, 8) == 'manager:' and redis.call('SADD', KEYS[6], ARGV[23]) == 1 then
  redis.call('PEXPIRE', KEYS[6], ARGV[22])
  -- Visitors may know of this operator from now on.
  local values = redis.call('HVALS', KEYS[7])
  for i = 1, #values do
    local _, user = userOf(values[i])
    if user == ARGV[23] then
      redis.call(ARGV[9], KEYS[3], 'j1\n' .. memberOf(values[i]))
      break
    end
  end
end
return { 'appended', epoch, offset, wait > 0 and 1 or nil }
