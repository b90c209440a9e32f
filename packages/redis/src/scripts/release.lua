-- Gives places of one scope or several back.
-- KEYS for each scope 1 counts, 2 places of the incarnation, 3 users of its places
-- ARGV 1 incarnation, 2 how long a place lasts (ms); then for each scope how many members, these
-- Result how many were held
-- @include time
-- @include places

local now = nowMs()
local held = 0
local key, arg = 0, 3
while ARGV[arg] do
  local counts, places, users = KEYS[key + 1], KEYS[key + 2], KEYS[key + 3]
  local many = tonumber(ARGV[arg])
  local freed = 0
  for i = 1, many do
    if unseat(places, users, ARGV[arg + i]) then
      freed = freed + 1
    end
  end
  if freed > 0 then
    recount(counts, ARGV[1], places, now)
    -- Where the counts were lost alone they have come back without an end.
    redis.call('PEXPIRE', counts, ARGV[2], 'NX')
  end
  held = held + freed
  key = key + 3
  arg = arg + 1 + many
end
return held
