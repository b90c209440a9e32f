-- Sliding windows. Times are whole milliseconds, so an age equal to the window may be shorter than it: it still counts.

-- A window with a small limit is a list of the times of its last `limit` admissions, newest first: it has room for `cost` while
-- the oldest of those that would have to be gone lies outside of it. Exact, and O(1).

-- 0 where there is room, else for how long there is not (ms).
local function listWait(window, limit, windowMs, cost, now)
  local oldest = redis.call('LINDEX', window, limit - cost)
  if not oldest then
    return 0
  end
  local age = now - tonumber(oldest)
  if age < -windowMs then
    -- The clock was set back by more than the window: these times mean nothing any more.
    redis.call('DEL', window)
    return 0
  end
  return age <= windowMs and math.min(windowMs + 1 - age, windowMs + 1) or 0
end

-- A little longer than what is needed, so that it is set seldom: a read is neither logged nor replicated.
local function keepFor(window, neededMs)
  if redis.call('PTTL', window) <= neededMs then
    redis.call('PEXPIRE', window, neededMs + math.ceil(neededMs / 8) + 10)
  end
end

local function listAdd(window, limit, windowMs, cost, now)
  local stamp = string.format('%.0f', now)
  local length = 0
  for _ = 1, cost do
    length = redis.call('LPUSH', window, stamp)
  end
  if length > limit then
    redis.call('LTRIM', window, 0, limit - 1)
  end
  keepFor(window, windowMs)
end
