-- Erases both tracks, marks and members, and tells the dialog's nodes. Idempotency keys fall with the life in meta.
-- KEYS 1 main channel, then all that is deleted: 2 meta, main log, internal log, conns, marks, writers, streams, to 12 their texts;
--   13-15 see lib/inbox: stream, counts, channel
-- ARGV 1 PUBLISH or SPUBLISH, 2 '1' to keep what the directory says (and the fence, which must not fall), 3 dialog,
--   4 assistant that has an inbox or '', 5 the inbox's bound
-- Result 1 where anything was there
-- @include time
-- @include inbox
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
if ARGV[4] ~= '' then
  local record = redis.call('HMGET', KEYS[2], 't', 'a', 'c')
  if record[1] and record[2] == ARGV[4] and record[3] ~= '1' then
    inboxEvent(KEYS[13], KEYS[14], KEYS[15], ARGV[1], ARGV[5], ARGV[4], record[1], ARGV[3], 'closed', ',"reason":"deleted"', nowMs())
  end
end
local removed = redis.call('DEL', unpack(KEYS, 2, 12))
if #kept > 0 then
  redis.call('HSET', KEYS[2], unpack(kept))
  if ttl >= 0 then
    redis.call('PEXPIRE', KEYS[2], math.max(ttl, 1))
  end
end
redis.call(ARGV[1], KEYS[1], 'x\n')
return removed > 0 and 1 or 0
