-- Gives a lock up.
-- KEYS 1 holder, 2 mark of the released value
-- ARGV 1 value, 2 lifetime of the mark (ms)
-- Result 1 released, 0 this value did not hold it
-- @include lock

-- An acquire of the value may still be on its way, by another connection or a repetition.
redis.call('SET', KEYS[2], '', 'PX', ARGV[2])
if not holds(redis.call('GET', KEYS[1]), ARGV[1]) then
  return 0
end
return redis.call('DEL', KEYS[1])
