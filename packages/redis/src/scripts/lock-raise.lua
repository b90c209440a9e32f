-- Raises the counter of a lock's fences.
-- KEYS 1 holder, 2 fence
-- ARGV 1 value that must hold the lock, or '' for none, 2 fence to raise it to, or '' for the next one, 3 lifetime of the counter (ms)
-- Result {'raised', fence}, {'passed', counter} where it is that high already, {'lost'}
-- @include time
-- @include lock

if ARGV[1] ~= '' and not holds(redis.call('GET', KEYS[1]), ARGV[1]) then
  return { 'lost' }
end
local wanted = tonumber(ARGV[2])
if not wanted then
  return { 'raised', countFence(KEYS[2], nowMs(), ARGV[3]) }
end
local counter = tonumber(redis.call('GET', KEYS[2]) or nil) or 0
if counter >= wanted then
  return { 'passed', counter }
end
keepFence(KEYS[2], wanted, ARGV[3])
return { 'raised', wanted }
