-- Replaces a dialog's directory record; it has no lifetime from then on.
-- KEYS 1 meta, 2-4 see lib/inbox: stream, counts, channel
-- ARGV 1 tenant, 2 assistant or '', 3 visitor or '', 4 '1' where closed, 5 PUBLISH or SPUBLISH, 6 dialog, 7 '1' where the assistant
--   has an inbox, 8 the inbox's bound
-- Result 1 stored, 0 the dialog belongs to another tenant
-- @include time
-- @include inbox
local record = redis.call('HMGET', KEYS[1], 't', 'a', 'c')
local tenant = record[1]
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
if ARGV[7] == '1' and ARGV[2] ~= '' then
  local wasOpen = tenant and record[2] == ARGV[2] and record[3] ~= '1'
  local isOpen = ARGV[4] ~= '1'
  local kind, more
  if isOpen and not wasOpen then
    kind, more = 'opened', ''
  elseif wasOpen and not isOpen then
    kind, more = 'closed', ',"reason":"closed"'
  end
  if kind then
    inboxEvent(KEYS[2], KEYS[3], KEYS[4], ARGV[5], ARGV[8], ARGV[2], ARGV[1], ARGV[6], kind, more, nowMs())
  end
end
return 1
