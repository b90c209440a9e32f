-- Erases both tracks, marks and members, and tells the dialog's nodes. Idempotency keys fall with the life in meta.
-- KEYS 1 main channel, then all that is deleted: 2 meta, main log, internal log, conns, marks, writers, streams, their texts
-- ARGV 1 PUBLISH or SPUBLISH, 2 '1' to keep what the directory says (and the fence, which must not fall)
-- Result 1 where anything was there
local kept = {}
local ttl = -2
if ARGV[2] == '1' then
  local fields = { 't', 'a', 'v', 'c', 'f' }
  local values = redis.call('HMGET', KEYS[2], unpack(fields))
  for i = 1, #fields do
    if values[i] then
      kept[#kept + 1] = fields[i]
      kept[#kept + 1] = values[i]
    end
  end
  ttl = redis.call('PTTL', KEYS[2])
end
local removed = redis.call('DEL', unpack(KEYS, 2))
if #kept > 0 then
  redis.call('HSET', KEYS[2], unpack(kept))
  if ttl >= 0 then
    redis.call('PEXPIRE', KEYS[2], math.max(ttl, 1))
  end
end
redis.call(ARGV[1], KEYS[1], 'x\n')
return removed > 0 and 1 or 0
