-- Lets a held lock live on.
-- KEYS 1 holder
-- ARGV 1 value, 2 ttl from now (ms)
-- Result 1 extended, 0 this value does not hold it
-- @include lock

if not holds(redis.call('GET', KEYS[1]), ARGV[1]) then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
