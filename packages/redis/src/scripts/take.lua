-- Takes from all windows of one subject, or from none.
-- KEYS the windows
-- ARGV for each window: 'l' for a list or 'b' for buckets, limit, window (ms), cost (0 only asks whether there is room for one)
-- Result {} or {which refused (from 1), ms}: of several the one that takes longest
-- @include time
-- @include window
-- @include buckets

local now = nowMs()
local refused, wait = nil, 0
local oldest = {}
for i = 1, #KEYS do
  local limit, windowMs, cost = tonumber(ARGV[4 * i - 2]), tonumber(ARGV[4 * i - 1]), math.max(1, tonumber(ARGV[4 * i]))
  local its
  if cost > limit then
    its = windowMs
  elseif ARGV[4 * i - 3] == 'l' then
    its = listWait(KEYS[i], limit, windowMs, cost, now)
  else
    its, oldest[i] = bucketsWait(KEYS[i], limit, windowMs, cost, now)
  end
  if its > wait then
    refused, wait = i, its
  end
end
if refused then
  return { refused, wait }
end
for i = 1, #KEYS do
  local limit, windowMs, cost = tonumber(ARGV[4 * i - 2]), tonumber(ARGV[4 * i - 1]), tonumber(ARGV[4 * i])
  if cost > 0 then
    if ARGV[4 * i - 3] == 'l' then
      listAdd(KEYS[i], limit, windowMs, cost, now)
    else
      bucketsAdd(KEYS[i], windowMs, cost, now, oldest[i])
    end
  end
end
return {}
