-- Replaces a dialog's directory record; it has no lifetime from then on.
-- KEYS 1 meta
-- ARGV 1 tenant, 2 assistant or '', 3 visitor or '', 4 '1' where closed
-- Result 1 stored, 0 the dialog belongs to another tenant
local tenant = redis.call('HGET', KEYS[1], 't')
if tenant and tenant ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 't', ARGV[1], 'c', ARGV[4])
if ARGV[2] ~= '' then
  redis.call('HSET', KEYS[1], 'a', ARGV[2])
else
  redis.call('HDEL', KEYS[1], 'a')
end
if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[1], 'v', ARGV[3])
else
  redis.call('HDEL', KEYS[1], 'v')
end
redis.call('PERSIST', KEYS[1])
return 1
