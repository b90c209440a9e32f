-- Writes a heartbeat and reads everybody's.
-- KEYS 1 beats, 2 infos, 3 runs
-- ARGV 1 incarnation, 2 info as JSON, 3 node ttl (ms), 4 '1' where it has beaten before, 5 after how long a silent node is
--   forgotten that nobody swept (ms), 6 lifetime of the runs (ms)
-- Result {time (ms), '1' where the own heartbeat had lapsed, live nodes, then for each its info, then each dead incarnation}
-- @include time

local now = nowMs()
local ttl, keep = tonumber(ARGV[3]), tonumber(ARGV[5])
local last = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
local ancient = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - keep), 'LIMIT', 0, 100)
for i = 1, #ancient do
  redis.call('ZREM', KEYS[1], ancient[i])
  redis.call('HDEL', KEYS[2], ancient[i])
end
for i = 1, #KEYS do
  redis.call('PEXPIRE', KEYS[i], i == 3 and ARGV[6] or ARGV[5])
end

local edge = string.format('%.0f', now - ttl)
local lapsed = ARGV[4] == '1' and (not last or tonumber(last) <= now - ttl)
local live = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. edge, '+inf')
local result = { string.format('%.0f', now), lapsed and '1' or '0', #live }
for i = 1, #live do
  result[#result + 1] = redis.call('HGET', KEYS[2], live[i]) or ''
end
local dead = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', edge, 'LIMIT', 0, 1000)
for i = 1, #dead do
  result[#result + 1] = dead[i]
end
return result
