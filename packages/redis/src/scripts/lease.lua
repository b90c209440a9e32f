-- Takes places in one scope or several.
-- KEYS for each scope 1 counts, 2 places of the incarnation, 3 users of its places; then, for 'replace', places of each other live
--   incarnation
-- ARGV 1 incarnation, 2 how long a place lasts (ms), 3 'refuse' or 'replace' (then one scope and one member), 4 how many other
--   incarnations live, these; then for each scope its limit, how many members, these
-- Result for each member, counted over all scopes, that does not have its place without more: which it is (from 1), then the member
--   that gave way to it, or 'full'
-- @include time
-- @include places

local now = nowMs()
local incarnation, lifeMs = ARGV[1], tonumber(ARGV[2])
local others = {}
for i = 1, tonumber(ARGV[4]) do
  others[i] = ARGV[4 + i]
end
local result = {}
local asked = 0

-- Of the only scope: the oldest place, and the incarnation that held it where it is another. Nil where nobody is left to give way.
local function giveWay(counts, places)
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
  end
  return oldest, its
end

-- The members stand behind `arg`.
local function takeIn(counts, places, users, limit, arg, many)
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
  local taken = false
  for i = 1, many do
    local member = ARGV[arg + i]
    asked = asked + 1
    if elsewhere + mine < limit then
      if seat(places, users, member, now) then
        mine = mine + 1
      end
      taken = true
    elseif redis.call('ZSCORE', places, member) then
      taken = true
    else
      local gone, its
      if ARGV[3] == 'replace' then
        gone, its = giveWay(counts, places)
      end
      if gone then
        seat(places, users, member, now)
        mine = mine + (its and 1 or 0)
        taken = true
      end
      result[#result + 1] = asked
      result[#result + 1] = gone or 'full'
    end
  end
  if taken then
    record(counts, incarnation, mine, places, users, now, lifeMs, #others)
  elseif mine ~= before then
    recount(counts, incarnation, places, now)
  end
end

local key, arg = 0, 5 + #others
while ARGV[arg] do
  local many = tonumber(ARGV[arg + 1])
  takeIn(KEYS[key + 1], KEYS[key + 2], KEYS[key + 3], tonumber(ARGV[arg]), arg + 1, many)
  key = key + 3
  arg = arg + 2 + many
end
return result
