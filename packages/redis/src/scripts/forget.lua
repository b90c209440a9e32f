-- Forgets an incarnation.
-- KEYS 1 beats, 2 infos
-- ARGV 1 incarnation
-- Result 1 where it was there
redis.call('HDEL', KEYS[2], ARGV[1])
return redis.call('ZREM', KEYS[1], ARGV[1])
