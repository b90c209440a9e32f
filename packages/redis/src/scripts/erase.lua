-- Erases both tracks, marks and members, and tells the dialog's nodes. Idempotency keys fall with the life in meta.
-- KEYS 1 meta, 2 main log, 3 internal log, 4 conns, 5 marks, 6 writers, 7 main channel
-- ARGV 1 PUBLISH or SPUBLISH, 2 '1' to keep what the directory says (and the fence, which must not fall)
-- Result 1 where anything was there
local kept = {}
local ttl = -2
if ARGV[2] == '1' then
  local fields = { 't', 'a', 'v', 'c', 'f' }
  local values = redis.call('HMGET', KEYS[1], unpack(fields))
  for i = 1, #fields do
    if values[i] then
      kept[#kept + 1] = fields[i]
      kept[#kept + 1] = values[i]
    end
  end
  ttl = redis.call('PTTL', KEYS[1])
end
local removed = redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6])
if #kept > 0 then
  redis.call('HSET', KEYS[1], unpack(kept))
  if ttl >= 0 then
    redis.call('PEXPIRE', KEYS[1], math.max(ttl, 1))
  end
end
redis.call(ARGV[1], KEYS[7], 'x\n')
return removed > 0 and 1 or 0
