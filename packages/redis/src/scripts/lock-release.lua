-- Gives a lock up.
-- KEYS 1 holder, 2 mark of the abandoned value
-- ARGV 1 value, 2 lifetime of the mark (ms) where an acquire of the value may still be on its way, else 0
-- Result 1 released, 0 this value did not hold it
-- @include lock

if ARGV[2] ~= '0' then
  redis.call('SET', KEYS[2], '', 'PX', ARGV[2])
end
if not holds(redis.call('GET', KEYS[1]), ARGV[1]) then
  return 0
end
return redis.call('DEL', KEYS[1])
