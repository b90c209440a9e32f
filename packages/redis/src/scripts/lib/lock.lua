-- A lock's holder is a string: the random value of the attempt, a space, the owner. Its fence is a counter that outlives it.

local function holds(holder, value)
  return holder and string.sub(holder, 1, #value + 1) == value .. ' '
end

local function keepFence(key, fence, ttl)
  redis.call('SET', key, string.format('%.0f', fence), 'PX', ttl)
end

-- The next fence. No less than the time, so that a counter that was lost goes on above where it was.
local function countFence(key, now, ttl)
  local fence = math.max((tonumber(redis.call('GET', key) or nil) or 0) + 1, now)
  keepFence(key, fence, ttl)
  return fence
end
