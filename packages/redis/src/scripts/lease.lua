-- Takes a place in one scope.
-- KEYS 1 counts, 2 places of the incarnation, 3 users of its places, then, for 'replace', places of each other live incarnation
-- ARGV 1 member, 2 incarnation, 3 limit, 4 how long a place lasts (ms), 5 'refuse' or 'replace', then each other live incarnation
-- Result {'leased'}, {'leased', member that gave way}, {'full'}
-- @include time
-- @include places

local counts, places, users = KEYS[1], KEYS[2], KEYS[3]
local now = nowMs()
local lifeMs = tonumber(ARGV[4])
if dropEnded(places, users, now - lifeMs) then
  record(counts, ARGV[2], places, users, now, ARGV[4])
end
local mine = redis.call('ZCARD', places)
local function seated()
  seat(places, users, ARGV[1], now)
  record(counts, ARGV[2], places, users, now, ARGV[4])
end
if redis.call('ZSCORE', places, ARGV[1]) then
  seated()
  return { 'leased' }
end

local others = {}
for i = 6, #ARGV do
  others[#others + 1] = ARGV[i]
end
local taken = mine
if #others > 0 then
  local stored = redis.call('HMGET', counts, unpack(others))
  for i = 1, #stored do
    taken = taken + (stored[i] and tonumber(string.match(stored[i], '^%d+')) or 0)
  end
end

local oldest, from, its, at
if taken >= tonumber(ARGV[3]) then
  if ARGV[5] == 'replace' then
    for i = 0, #others do
      local key = i == 0 and places or KEYS[3 + i]
      local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
      if first[1] and (not at or tonumber(first[2]) < at) then
        oldest, from, its, at = first[1], key, i == 0 and ARGV[2] or others[i], tonumber(first[2])
      end
    end
  end
  if not oldest then
    return { 'full' }
  end
  -- A user's places have no hash of users, so none is named for the other incarnation.
  redis.call('ZREM', from, oldest)
  record(counts, its, from, users, now, ARGV[4])
end
seated()

-- Counts of incarnations that are long gone: a place younger than `lifeMs` would have been written since.
if redis.call('HLEN', counts) > 2 * #others + 16 then
  local all = redis.call('HGETALL', counts)
  for i = 1, #all, 2 do
    if tonumber(string.match(all[i + 1], ':(%d+)$')) < now - lifeMs then
      redis.call('HDEL', counts, all[i])
    end
  end
end
return { 'leased', oldest }
