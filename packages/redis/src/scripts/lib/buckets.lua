-- A window with a large limit is a hash: the last millisecond of a bucket -> what came in it. A bucket is at most a 64th of the
-- window, and counts whole until its last millisecond has left the window: never too much is admitted, and a refusal comes at
-- most a bucket too early. Fields name their own end, so a window whose length is changed goes on.

-- Drops what no longer counts. Returns the total, the ends that count, and the count of each.
local function bucketsNow(window, windowMs, now)
  local all = redis.call('HGETALL', window)
  local total, ends, counts = 0, {}, {}
  for i = 1, #all, 2 do
    local ending = tonumber(all[i])
    -- Later than a window from now: the clock was set back, and these times mean nothing any more.
    if now - ending > windowMs or ending - now > 2 * windowMs then
      redis.call('HDEL', window, all[i])
    else
      local count = tonumber(all[i + 1])
      total = total + count
      ends[#ends + 1] = ending
      counts[ending] = count
    end
  end
  return total, ends, counts
end

-- 0 where there is room, else for how long there is not (ms).
local function bucketsWait(window, limit, windowMs, cost, now)
  local total, ends, counts = bucketsNow(window, windowMs, now)
  local excess = total + cost - limit
  if excess <= 0 then
    return 0
  end
  table.sort(ends)
  for i = 1, #ends do
    excess = excess - counts[ends[i]]
    if excess <= 0 then
      return ends[i] + windowMs + 1 - now
    end
  end
  return windowMs
end

local function bucketsAdd(window, windowMs, cost, now)
  local bucketMs = math.max(1, math.floor(windowMs / 64))
  local ending = now - now % bucketMs + bucketMs - 1
  redis.call('HINCRBY', window, string.format('%.0f', ending), cost)
  keepFor(window, windowMs + bucketMs)
end
