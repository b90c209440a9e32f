-- Gives a lease back.
-- KEYS 1 lease
-- ARGV 1 token
-- Result 1 where it was held
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])
