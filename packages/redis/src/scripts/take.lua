-- Takes from the windows of one subject or several: of each from all of its windows, or from none.
-- KEYS the windows, subject by subject
-- ARGV for each subject how many windows it has, then for each of them: 'l' for a list or 'b' for buckets, limit, window (ms), cost (0
--   only asks whether there is room for one)
-- Result for each subject that is refused: which it is (from 1), which of its windows refuses (from 1), and for how long (ms): of several
--   the one that takes longest
-- @include time
-- @include window
-- @include buckets

local now = nowMs()

-- By the keys and arguments behind these. Returns which refuses and for how long; nothing where none does.
local function takeOne(key, arg, count)
  local refused, wait = nil, 0
  local oldest = {}
  for i = 1, count do
    local at = arg + 4 * i
    local limit, windowMs, cost = tonumber(ARGV[at - 2]), tonumber(ARGV[at - 1]), math.max(1, tonumber(ARGV[at]))
    local its
    if cost > limit then
      its = windowMs
    elseif ARGV[at - 3] == 'l' then
      its = listWait(KEYS[key + i], limit, windowMs, cost, now)
    else
      its, oldest[i] = bucketsWait(KEYS[key + i], limit, windowMs, cost, now)
    end
    if its > wait then
      refused, wait = i, its
    end
  end
  if refused then
    return refused, wait
  end
  for i = 1, count do
    local at = arg + 4 * i
    local limit, windowMs, cost = tonumber(ARGV[at - 2]), tonumber(ARGV[at - 1]), tonumber(ARGV[at])
    if cost > 0 then
      if ARGV[at - 3] == 'l' then
        listAdd(KEYS[key + i], limit, windowMs, cost, now)
      else
        bucketsAdd(KEYS[key + i], windowMs, cost, now, oldest[i])
      end
    end
  end
end

local result = {}
local subject, key, arg = 0, 0, 1
while ARGV[arg] do
  local count = tonumber(ARGV[arg])
  subject = subject + 1
  local refused, wait = takeOne(key, arg, count)
  if refused then
    result[#result + 1] = subject
    result[#result + 1] = refused
    result[#result + 1] = wait
  end
  key = key + count
  arg = arg + 1 + 4 * count
end
return result
