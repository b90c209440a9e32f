-- Counts a ban of an address and clears its score.
-- KEYS 1 score, 2 bans
-- ARGV 1 how long it is remembered (ms), 2 most bans to remember
-- Result how many are remembered, this one included; 0 where there is no score, and nothing is counted
-- @include time
-- @include bans

local now = nowMs()
local most = tonumber(ARGV[2])
if redis.call('DEL', KEYS[1]) == 0 then
  return 0
end
redis.call('LPUSH', KEYS[2], string.format('%.0f', now + tonumber(ARGV[1])))
redis.call('LTRIM', KEYS[2], 0, most - 1)
if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[1]) then
  redis.call('PEXPIRE', KEYS[2], ARGV[1])
end
return remembered(KEYS[2], now)
