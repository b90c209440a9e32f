-- Notes what came of publishing a finished answer.
-- KEYS 1 meta, 2 streams, 3 main channel, 4-7 texts
-- ARGV 1 PUBLISH or SPUBLISH, 2 stream id, 3 `finished`, or how it ended, 4 position of the message or ''
-- Result 1 where it was waited for
-- @include time
-- @include fence
-- @include streams

local stream = find(ARGV[2])
if not stream or stream.state ~= 'finishing' then
  return 0
end
stream.position = ARGV[4]
endStream(stream, ARGV[3], nowMs())
return 1
