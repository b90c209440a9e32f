-- Dead letters of a partition, the newest first, those of one time by id.
-- KEYS 1 dead, 2 letters, see lib/inbox-queue
-- ARGV 1 time of the last one of the page before (ms) or '', 2 its id, 3 assistant or '' for any, 4 most, 5 ttl (ms)
-- Result {id, letter}..., flat
-- @include time

local most = tonumber(ARGV[4])
local oldest = '(' .. string.format('%.0f', nowMs() - tonumber(ARGV[5]))
local ids = redis.call('ZREVRANGEBYSCORE', KEYS[1], ARGV[1] == '' and '+inf' or ARGV[1], oldest, 'WITHSCORES')
local found = {}
for i = 1, #ids, 2 do
  found[#found + 1] = { ids[i], tonumber(ids[i + 1]) }
end
table.sort(found, function(a, b)
  return a[2] > b[2] or (a[2] == b[2] and a[1] < b[1])
end)
local result = {}
for i = 1, #found do
  local id, at = found[i][1], found[i][2]
  if #result >= 2 * most then
    break
  end
  if ARGV[1] == '' or at < tonumber(ARGV[1]) or id > ARGV[2] then
    local letter = redis.call('HGET', KEYS[2], id)
    if letter and (ARGV[3] == '' or string.match(letter, '^[^\n]*') == ARGV[3]) then
      result[#result + 1] = id
      result[#result + 1] = letter
    end
  end
end
return result
