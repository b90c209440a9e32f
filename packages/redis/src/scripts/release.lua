-- Gives a place back.
-- KEYS 1 counts, 2 places of the incarnation, 3 users of its places
-- ARGV 1 member, 2 incarnation, 3 how long a place lasts (ms)
-- Result 1 where it was held
-- @include time
-- @include places

if not unseat(KEYS[2], KEYS[3], ARGV[1]) then
  return 0
end
record(KEYS[1], ARGV[2], KEYS[2], KEYS[3], nowMs(), ARGV[3])
return 1
