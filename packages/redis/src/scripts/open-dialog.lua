-- Opens a dialog for its visitor; register checks a claim by the same rule.
-- KEYS 1 meta, 2-4 see lib/inbox: stream, counts, channel
-- ARGV 1 tenant, 2 assistant, 3 visitor, 4 'make' or 'keep', 5 lifetime of a dialog without a publication (ms),
--   6 PUBLISH or SPUBLISH, 7 dialog, 8 '1' where the assistant has an inbox, 9 the inbox's bound
-- Result 'created' | 'resumed' | 'conflict' | 'unknown'
-- @include time
-- @include inbox
local meta = KEYS[1]
local record = redis.call('HMGET', meta, 't', 'a', 'v')
local tenant, assistant, visitor = record[1], record[2], record[3]
local make = ARGV[4] == 'make'
if not tenant and not make then
  return 'unknown'
end
if not assistant and make then
  assistant = ARGV[2]
end
if (tenant or ARGV[1]) ~= ARGV[1] or assistant ~= ARGV[2] or (visitor or ARGV[3]) ~= ARGV[3] then
  return 'conflict'
end
if not (tenant and record[2] and visitor) then
  local new = redis.call('EXISTS', meta) == 0
  redis.call('HSET', meta, 't', ARGV[1], 'a', ARGV[2], 'v', ARGV[3])
  if new then
    redis.call('PEXPIRE', meta, ARGV[5])
  end
end
-- GT leaves a meta without a lifetime alone: the directory's.
redis.call('PEXPIRE', meta, ARGV[5], 'GT')
if not tenant and ARGV[8] == '1' then
  inboxEvent(KEYS[2], KEYS[3], KEYS[4], ARGV[6], ARGV[9], ARGV[2], ARGV[1], ARGV[7], 'opened', '', nowMs())
end
return tenant and 'resumed' or 'created'
