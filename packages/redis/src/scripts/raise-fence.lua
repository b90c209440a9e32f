-- Raises a dialog's fence.
-- KEYS 1 meta
-- ARGV 1 fence
-- Result 1 where it was raised
local held = tonumber(redis.call('HGET', KEYS[1], 'f'))
if redis.call('EXISTS', KEYS[1]) == 0 or (held and held >= tonumber(ARGV[1])) then
  return 0
end
redis.call('HSET', KEYS[1], 'f', ARGV[1])
return 1
