-- Removes connections that gave way to a newer one of their client, and tells the nodes that hold them.
-- KEYS 1 conns, 2 main channel
-- ARGV 1 PUBLISH or SPUBLISH, then each connection
-- Result how many were there

local removed = 0
for i = 2, #ARGV do
  if redis.call('HDEL', KEYS[1], ARGV[i]) == 1 then
    removed = removed + 1
    redis.call(ARGV[1], KEYS[2], 'vc\n' .. ARGV[i])
  end
end
return removed
