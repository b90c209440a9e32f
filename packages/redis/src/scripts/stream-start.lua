-- Opens a stream for an answer.
-- KEYS 1 meta, 2 streams, 3 main channel, 4-7 texts
-- ARGV 1 PUBLISH or SPUBLISH, 2 stream id, 3 the same as JSON, 4 user of the sender, 5 sender as JSON, 6 fence or '', 7 '1' where the
--   directory must know the dialog, 8 most open streams, 9 most idle time (ms), 10 how long streams are remembered (ms), 11 ended
--   streams to remember, 12 lifetime of a meta key that is made here (ms)
-- Result {'open', next index, '1' where it was opened before}, {'over', how}, {'full', ms},
--   {'conflict' | 'stale_fence' | 'closed' | 'not_found'}
-- @include time
-- @include fence
-- @include streams

local now = nowMs()
local idleMs = tonumber(ARGV[9])
local m = redis.call('HMGET', KEYS[1], 't', 'c', 'f', 'h')
if ARGV[7] == '1' and not m[1] then
  return { 'not_found' }
end
local earlier = find(ARGV[2])
if earlier then
  if earlier.user ~= ARGV[4] then
    return { 'conflict' }
  end
  endIfIdle(earlier, now, idleMs)
  if earlier.state ~= 'open' then
    return { 'over', earlier.state }
  end
  return { 'open', earlier.next, '1' }
end
if m[2] == '1' then
  return { 'closed' }
end
local fence, held = tonumber(ARGV[6]), tonumber(m[3])
if isStale(fence, held, m[4], ARGV[4]) then
  return { 'stale_fence' }
end

local open, taken, finishing, ended = 0, {}, {}, {}
local soonest = idleMs
for _, stream in ipairs(allStreams()) do
  endIfIdle(stream, now, idleMs)
  if stream.state == 'open' then
    open = open + 1
    soonest = math.min(soonest, idleMs + 1 - (now - stream.touched))
  end
  if stream.slot > 0 then
    taken[stream.slot] = true
    if stream.state == 'finishing' then
      finishing[#finishing + 1] = stream
    end
  else
    ended[#ended + 1] = stream
  end
end
if open >= tonumber(ARGV[8]) then
  return { 'full', math.max(soonest, 1) }
end
local function byAge(a, b)
  return a.touched < b.touched
end
table.sort(ended, byAge)
for i = 1, #ended - tonumber(ARGV[11]) do
  redis.call('HDEL', KEYS[2], ended[i].id)
end
local slot = 1
while taken[slot] do
  slot = slot + 1
end
if slot > tonumber(ARGV[8]) then
  -- All texts are in use, some by answers that were finished and whose message nobody has settled: the oldest of these gives way.
  table.sort(finishing, byAge)
  slot = finishing[1].slot
  endStream(finishing[1], 'expired', now)
end

if fence and (not held or fence > held) then
  local new = redis.call('EXISTS', KEYS[1]) == 0
  redis.call('HSET', KEYS[1], 'f', ARGV[6])
  if new then
    redis.call('PEXPIRE', KEYS[1], ARGV[12])
  end
end
redis.call('DEL', KEYS[3 + slot])
redis.call('HINCRBY', KEYS[2], '', 1)
save({
  id = ARGV[2], state = 'open', slot = slot, next = 0, units = 0, last = 0, fence = ARGV[6], user = ARGV[4], sender = ARGV[5],
  name = ARGV[3], position = '',
}, now)
keep(KEYS[2], tonumber(ARGV[10]))
return { 'open', 0, '0' }
