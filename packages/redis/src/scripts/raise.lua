-- Raises the threat score of an address.
-- KEYS 1 score, 2 bans, then for each live incarnation the users of its places of the address
-- ARGV 1 points, 2 window (ms), 3 most users to count
-- Result {score, users, bans}
-- @include time
-- @include window
-- @include buckets
-- @include bans

local now = nowMs()
local windowMs = tonumber(ARGV[2])
local points = tonumber(ARGV[1])
local score, oldest = bucketsNow(KEYS[1], windowMs, now)
if points > 0 then
  bucketsAdd(KEYS[1], windowMs, points, now, oldest)
end

-- A few of each are enough: where one has as many as are counted there are that many, else its are all here.
local most = tonumber(ARGV[3])
local seen, users = {}, 0
for i = 3, #KEYS do
  local some = redis.call('HRANDFIELD', KEYS[i], most)
  for j = 1, #some do
    if not seen[some[j]] then
      seen[some[j]] = true
      users = users + 1
    end
  end
  if users >= most then
    break
  end
end
return { score + points, math.min(users, most), remembered(KEYS[2], now) }
