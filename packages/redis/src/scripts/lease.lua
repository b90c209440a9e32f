-- Takes places in one scope.
-- KEYS 1 counts, 2 places of the incarnation, 3 users of its places, then, for 'replace', places of each other live incarnation
-- ARGV 1 incarnation, 2 limit, 3 how long a place lasts (ms), 4 'refuse' or 'replace' (then one member), 5 how many members, these, then
--   each other live incarnation
-- Result for each member '' where it is leased, the member that gave way to it, or 'full'
-- @include time
-- @include places

local counts, places, users = KEYS[1], KEYS[2], KEYS[3]
local limit, many = tonumber(ARGV[2]), tonumber(ARGV[5])
local now = nowMs()
local lifeMs = tonumber(ARGV[3])
local others = {}
for i = 6 + many, #ARGV do
  others[#others + 1] = ARGV[i]
end
local elsewhere = 0
if #others > 0 then
  local stored = redis.call('HMGET', counts, unpack(others))
  for i = 1, #stored do
    elsewhere = elsewhere + (stored[i] and tonumber(string.match(stored[i], '^%d+')) or 0)
  end
end
local mine = redis.call('ZCARD', places)
local before = mine
if elsewhere + mine + many > limit then
  mine = mine - dropEnded(places, users, now - lifeMs)
end

-- Where nobody is left to give way, there is none.
local function giveWay()
  local oldest, from, its, at
  for i = 0, #others do
    local key = i == 0 and places or KEYS[3 + i]
    local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if first[1] and (not at or tonumber(first[2]) < at) then
      oldest, from, its, at = first[1], key, others[i], tonumber(first[2])
    end
  end
  if not oldest then
    return nil
  end
  -- A user's places have no hash of users.
  redis.call('ZREM', from, oldest)
  if its then
    recount(counts, its, from, now)
  else
    mine = mine - 1
  end
  return oldest
end

local result = {}
local taken = false
for i = 1, many do
  local member = ARGV[5 + i]
  result[i] = ''
  if elsewhere + mine < limit then
    if seat(places, users, member, now) then
      mine = mine + 1
    end
    taken = true
  elseif redis.call('ZSCORE', places, member) then
    taken = true
  else
    local gone = ARGV[4] == 'replace' and giveWay()
    if gone then
      seat(places, users, member, now)
      mine = mine + 1
      taken = true
    end
    result[i] = gone or 'full'
  end
end
if taken then
  record(counts, ARGV[1], mine, places, users, now, lifeMs, #others)
elseif mine ~= before then
  recount(counts, ARGV[1], places, now)
end
return result
