-- Names the place in the control stream from which a reader of the snapshot goes on.
-- KEYS 1 epoch, 2 log
-- ARGV 1 a fresh name, 2 lineage, 3 when it was first seen (ms)
-- Result {epoch, id of the newest entry, entries ever, time (ms), time at which the epoch was minted (ms)}
-- @include time
-- @include control
local epoch = controlEpoch()
local last, added = controlLog()
return { epoch, last, added, string.format('%.0f', nowMs()), redis.call('HGET', KEYS[1], 't') or '0' }
