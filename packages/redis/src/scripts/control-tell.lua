-- Writes an entry to the control stream that no snapshot keeps.
-- KEYS 1 epoch, 2 log
-- ARGV 1 a fresh name, 2 lineage, 3 when it was first seen (ms), 4 most entries of the stream, 5 text: kind (d disconnect), a line
--   end, JSON
-- Result 1
-- @include time
-- @include control
controlEpoch()
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', 'e', ARGV[5])
return 1
