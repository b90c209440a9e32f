-- A window with a large limit is a hash of buckets: the last millisecond of each -> what came in it. A bucket is at most a 64th of
-- the window, and counts whole until its last millisecond has left the window: never too much is admitted, and a refusal comes
-- at most a bucket too early. Further fields: n what all buckets hold, o the end of the oldest (it may be empty), s their length
-- (ms); so each bucket is looked at once more only, when it leaves.

local function bucketMs(windowMs)
  return math.max(1, math.floor(windowMs / 64))
end

local function endingOf(time, size)
  return time - time % size + size - 1
end

local function field(number)
  return string.format('%.0f', number)
end

-- The counts of `count` buckets from `first` on, false where nothing came; then the fields' names.
local function bucketsFrom(window, first, size, count)
  local names = {}
  for i = 1, count do
    names[i] = field(first + (i - 1) * size)
  end
  return redis.call('HMGET', window, unpack(names)), names
end

-- The window's length was changed: what it still holds is put into the buckets of the new length in which the old ones end.
local function rebucket(window, windowMs, size, now)
  local all = redis.call('HGETALL', window)
  local total, oldest = 0, nil
  redis.call('DEL', window)
  for i = 1, #all, 2 do
    local ending = tonumber(all[i])
    if ending and now - ending <= windowMs then
      ending = endingOf(ending, size)
      total = total + tonumber(all[i + 1])
      oldest = math.min(oldest or ending, ending)
      redis.call('HINCRBY', window, field(ending), all[i + 1])
    end
  end
  if oldest then
    redis.call('HSET', window, 'n', field(total), 'o', field(oldest), 's', field(size))
    keepFor(window, windowMs + 2 * size)
  end
  return total, oldest
end

-- Drops what has left the window. Returns the total, and the end of the oldest bucket or nil where there is none.
local function bucketsNow(window, windowMs, now)
  local size = bucketMs(windowMs)
  local head = redis.call('HMGET', window, 'n', 'o', 's')
  local total, oldest = tonumber(head[1] or nil), tonumber(head[2] or nil)
  if not total then
    return 0, nil
  end
  if tonumber(head[3]) ~= size then
    total, oldest = rebucket(window, windowMs, size, now)
    if not oldest then
      return 0, nil
    end
  end
  local gone = math.floor((now - windowMs - 1 - oldest) / size) + 1
  -- All of them: the newest is at most a window younger than the oldest. Or the clock was set back by more than the window, and
  -- these times mean nothing any more.
  if gone > windowMs / size + 2 or oldest - now > windowMs + size then
    redis.call('DEL', window)
    return 0, nil
  end
  if gone > 0 then
    local counts, names = bucketsFrom(window, oldest, size, gone)
    for i = 1, gone do
      total = total - (tonumber(counts[i] or nil) or 0)
    end
    redis.call('HDEL', window, unpack(names))
    oldest = oldest + gone * size
    redis.call('HSET', window, 'n', field(total), 'o', field(oldest))
  end
  return total, oldest
end

-- 0 where there is room, else for how long there is not (ms); then the end of the oldest bucket, for `bucketsAdd`.
local function bucketsWait(window, limit, windowMs, cost, now)
  local total, oldest = bucketsNow(window, windowMs, now)
  local excess = total + cost - limit
  if excess <= 0 then
    return 0, oldest
  end
  local size = bucketMs(windowMs)
  -- A few at a time: most often the oldest makes room enough.
  for first = oldest or now, now + windowMs + size, 8 * size do
    local counts = bucketsFrom(window, first, size, 8)
    for i = 1, 8 do
      excess = excess - (tonumber(counts[i] or nil) or 0)
      if excess <= 0 then
        return first + (i - 1) * size + windowMs + 1 - now, oldest
      end
    end
  end
  return windowMs, oldest
end

-- After `bucketsNow` or `bucketsWait` of the same moment, whose `oldest` this takes.
local function bucketsAdd(window, windowMs, cost, now, oldest)
  local size = bucketMs(windowMs)
  local ending = endingOf(now, size)
  redis.call('HINCRBY', window, field(ending), cost)
  redis.call('HINCRBY', window, 'n', cost)
  -- Also where the clock was set back a little.
  if not oldest or ending < oldest then
    redis.call('HSET', window, 'o', field(ending), 's', field(size))
  end
  keepFor(window, windowMs + size)
end
