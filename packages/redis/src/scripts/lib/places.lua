-- The places of one scope: for each incarnation a sorted set of connections by the time at which they came (ms), and one hash,
-- counts: incarnation -> '<places>:<time of writing (ms)>'. A count is always written from the set, so it heals itself, and only
-- after a change of that set: whoever takes an incarnation for dead frees nothing of it.
-- An address's members are '<connection>:<user>', and each incarnation has a hash of users -> places.

local function note(users, member, change)
  local user = string.match(member, ':(.*)$')
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

-- Connections that came before `edge` have ended: what is left of them is a release that was lost. Returns whether anything was.
local function dropEnded(places, users, edge)
  local ended = redis.call('ZRANGEBYSCORE', places, '-inf', string.format('%.0f', edge), 'LIMIT', 0, 100)
  for i = 1, #ended do
    unseat(places, users, ended[i])
  end
  return #ended > 0
end

-- Writes the count after a change. Everything of the scope lives as long as its youngest place may.
local function record(counts, incarnation, places, users, now, lifeMs)
  local size = redis.call('ZCARD', places)
  if size == 0 then
    redis.call('HDEL', counts, incarnation)
    return
  end
  redis.call('HSET', counts, incarnation, string.format('%.0f:%.0f', size, now))
  redis.call('PEXPIRE', counts, lifeMs)
  redis.call('PEXPIRE', places, lifeMs)
  redis.call('PEXPIRE', users, lifeMs)
end
