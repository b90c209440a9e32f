-- The bans of an address are a list of the times until which each is remembered (ms).

-- How many are remembered.
local function remembered(bans, now)
  local count = 0
  local all = redis.call('LRANGE', bans, 0, -1)
  for i = 1, #all do
    if tonumber(all[i]) > now then
      count = count + 1
    end
  end
  return count
end
