-- Stores or deletes an assistant's record and tells the nodes.
-- KEYS 1 epoch, 2 log, 3 assistants: id -> record as JSON
-- ARGV 1 a fresh name, 2 lineage, 3 when it was first seen (ms), 4 most entries of the stream, 5 id, 6 record as JSON or '' to
--   delete, 7 text: kind (a assistant), a line end, JSON
-- Result 1 where the assistant was known
-- @include time
-- @include control
controlEpoch()
local known = redis.call('HEXISTS', KEYS[3], ARGV[5])
if ARGV[6] ~= '' then
  redis.call('HSET', KEYS[3], ARGV[5], ARGV[6])
elseif known == 1 then
  redis.call('HDEL', KEYS[3], ARGV[5])
else
  return 0
end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', 'e', ARGV[7])
return known
