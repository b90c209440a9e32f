-- The places of one scope: for each incarnation a sorted set of connections by the time at which they came (ms), and one hash,
-- counts: incarnation -> '<places>:<time of writing (ms)>'. A count is always written from the set, so it heals itself, and only
-- after a change of that set: whoever takes an incarnation for dead frees nothing of it.
-- An address's members are '<connection>:<user>', and each incarnation has a hash of users -> places.

-- Hashes of users that a member was counted in, so that they are there.
local withUsers = {}

local function note(users, member, change)
  local user = string.match(member, ':(.*)$')
  withUsers[users] = withUsers[users] or user ~= nil
  if user and redis.call('HINCRBY', users, user, change) <= 0 then
    redis.call('HDEL', users, user)
  end
end

-- Returns whether it was not there.
local function seat(places, users, member, now)
  if redis.call('ZADD', places, 'NX', string.format('%.0f', now), member) == 0 then
    return false
  end
  note(users, member, 1)
  return true
end

-- Returns whether it was there.
local function unseat(places, users, member)
  if redis.call('ZREM', places, member) == 0 then
    return false
  end
  note(users, member, -1)
  return true
end

-- Connections that came before `edge` have ended: what is left of them is a release that was lost. Returns how many there were.
local function dropEnded(places, users, edge)
  local ended = redis.call('ZRANGEBYSCORE', places, '-inf', string.format('%.0f', edge), 'LIMIT', 0, 100)
  for i = 1, #ended do
    unseat(places, users, ended[i])
  end
  return #ended
end

local function countOf(size, now)
  return string.format('%.0f:%.0f', size, now)
end

-- Writes the count after places were freed.
local function recount(counts, incarnation, places, now)
  local size = redis.call('ZCARD', places)
  if size == 0 then
    redis.call('HDEL', counts, incarnation)
  else
    redis.call('HSET', counts, incarnation, countOf(size, now))
  end
end

-- Writes the count after places were taken. Everything of the scope lives as long as its youngest place may.
local function record(counts, incarnation, size, places, users, now, lifeMs, others)
  redis.call('HSET', counts, incarnation, countOf(size, now))
  -- Counts of incarnations that are long gone: a place younger than `lifeMs` would have been written since.
  if redis.call('HLEN', counts) > 2 * others + 16 then
    local all = redis.call('HGETALL', counts)
    for i = 1, #all, 2 do
      if tonumber(string.match(all[i + 1], ':(%d+)$')) < now - lifeMs then
        redis.call('HDEL', counts, all[i])
      end
    end
  end
  redis.call('PEXPIRE', counts, lifeMs)
  redis.call('PEXPIRE', places, lifeMs)
  if withUsers[users] then
    redis.call('PEXPIRE', users, lifeMs)
  end
end
