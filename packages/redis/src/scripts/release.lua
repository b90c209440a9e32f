-- Gives places back.
-- KEYS 1 counts, 2 places of the incarnation, 3 users of its places
-- ARGV 1 incarnation, 2 how long a place lasts (ms), then the members
-- Result how many were held
-- @include time
-- @include places

local freed = 0
for i = 3, #ARGV do
  if unseat(KEYS[2], KEYS[3], ARGV[i]) then
    freed = freed + 1
  end
end
if freed > 0 then
  recount(KEYS[1], ARGV[1], KEYS[2], nowMs())
  -- Where the counts were lost alone they have come back without an end.
  redis.call('PEXPIRE', KEYS[1], ARGV[2], 'NX')
end
return freed
