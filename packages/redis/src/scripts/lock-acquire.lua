-- Takes a lock that nobody else holds, and its next fence.
-- KEYS 1 holder, 2 fence, 3 mark of the released value
-- ARGV 1 value, 2 owner, 3 ttl (ms), 4 time after which it is too late (ms), 5 lifetime of the counter (ms)
-- Result {'granted', time, fence}, {'held', time, owner}, {'late' | 'released', time}
-- @include time
-- @include lock

local now = nowMs()
-- Whoever asked has given up by then, and may be dead: nobody would release it.
if now > tonumber(ARGV[4]) then
  return { 'late', now }
end
if redis.call('EXISTS', KEYS[3]) == 1 then
  return { 'released', now }
end
local holder = redis.call('GET', KEYS[1])
if holder and not holds(holder, ARGV[1]) then
  return { 'held', now, string.match(holder, '^[^ ]* (.*)$') or '' }
end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2], 'PX', ARGV[3])
return { 'granted', now, countFence(KEYS[2], now, ARGV[5]) }
