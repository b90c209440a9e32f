-- Opens a dialog for its visitor; register checks a claim by the same rule.
-- KEYS 1 meta
-- ARGV 1 tenant, 2 assistant, 3 visitor, 4 'make' or 'keep', 5 lifetime of a dialog without a publication (ms)
-- Result 'created' | 'resumed' | 'conflict' | 'unknown'
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
return tenant and 'resumed' or 'created'
