-- Reads the control stream after a place in it.
-- KEYS 1 epoch, 2 log
-- ARGV 1 a fresh name, 2 lineage, 3 when it was first seen (ms), 4 epoch of the place, 5 id of the last entry that was read, 6 its
--   number, 7 most entries
-- Result nil where the place is lost: of another epoch, trimmed, or of a tail that is gone; else for each entry {id, {'e', text}}
-- @include time
-- @include control

local function isBefore(a, b)
  local aTime, aSerial = string.match(a, '^(%d+)-(%d+)$')
  local bTime, bSerial = string.match(b, '^(%d+)-(%d+)$')
  if aTime ~= bTime then
    return tonumber(aTime) < tonumber(bTime)
  end
  return tonumber(aSerial) < tonumber(bSerial)
end

if controlEpoch() ~= ARGV[4] then
  return false
end
local last, added, kept = controlLog()
local number, most = tonumber(ARGV[6]), tonumber(ARGV[7])
local isGone = added < number or isBefore(last, ARGV[5])
if not isGone and added - kept > number then
  return false
end
local entries = {}
if not isGone and last ~= ARGV[5] then
  entries = redis.call('XRANGE', KEYS[2], '(' .. ARGV[5], '+', 'COUNT', most)
end
-- The numbers tell also where other entries have been written since in the place of those that are gone.
if isGone or (#entries < most and #entries ~= added - number) then
  -- Everybody has to hear of it, also who had not read as far.
  mintControl()
  return false
end
return entries
