-- Writes a heartbeat and reads everybody's.
-- KEYS 1 beats, 2 infos, 3 runs
--   infos: incarnation -> time since which it has beaten without a break (ms), line end, info as JSON
-- ARGV 1 incarnation, 2 info as JSON, 3 node ttl (ms), 4 its newest acknowledged heartbeat (ms) or '', 5 after how long a silent
--   node is forgotten that nobody swept (ms), 6 lifetime of the runs (ms)
-- Result {time of the heartbeat (ms), '1' where the own heartbeat had lapsed, live nodes, then for each its info, then each dead incarnation}
-- @include time

local now = nowMs()
local ttl, keep = tonumber(ARGV[3]), tonumber(ARGV[5])
-- A break: silent for too long, forgotten, emptied, or rolled back to before its newest heartbeat. It is kept until the node has
-- heard of it: the answer to the heartbeat that found it may be lost.
local acknowledged = tonumber(ARGV[4])
local last = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or nil)
local since = tonumber(string.match(redis.call('HGET', KEYS[2], ARGV[1]) or '', '^(%d+)\n'))
local stamp
if not last or not since or now - last >= ttl or (acknowledged and last < acknowledged) then
  -- Later than the acknowledged one also within one millisecond, or after a clock that was set back.
  since = math.max(now, (acknowledged or 0) + 1)
  stamp = since
elseif last > now + 1000 then
  -- The clock was set back, and that is no break.
  since = math.min(now, acknowledged or now)
  stamp = now
else
  stamp = math.max(now, last)
end
local lapsed = acknowledged ~= nil and since > acknowledged
redis.call('ZADD', KEYS[1], string.format('%.0f', stamp), ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f', since) .. '\n' .. ARGV[2])
local ancient = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - keep), 'LIMIT', 0, 100)
for i = 1, #ancient do
  redis.call('ZREM', KEYS[1], ancient[i])
  redis.call('HDEL', KEYS[2], ancient[i])
end
for i = 1, #KEYS do
  redis.call('PEXPIRE', KEYS[i], i == 3 and ARGV[6] or ARGV[5])
end

local edge = string.format('%.0f', now - ttl)
local live = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. edge, '+inf')
local result = { string.format('%.0f', stamp), lapsed and '1' or '0', #live }
for i = 1, #live do
  result[#result + 1] = string.match(redis.call('HGET', KEYS[2], live[i]) or '', '\n(.*)$') or ''
end
local dead = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', edge, 'LIMIT', 0, 1000)
for i = 1, #dead do
  result[#result + 1] = dead[i]
end
return result
