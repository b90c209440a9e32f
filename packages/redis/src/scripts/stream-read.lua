-- The open streams that have a piece; ends those that nobody goes on with.
-- KEYS 1 meta, 2 streams, 3 main channel, 4-7 texts
-- ARGV 1 PUBLISH or SPUBLISH, 2 most idle time (ms)
-- Result for each its id, the index of its last piece, its text as the inside of a JSON string
-- @include time
-- @include fence
-- @include streams

local now = nowMs()
local result = {}
for _, stream in ipairs(allStreams()) do
  endIfIdle(stream, now, tonumber(ARGV[2]))
  if stream.state == 'open' and stream.next > 0 then
    result[#result + 1] = stream.id
    result[#result + 1] = stream.next - 1
    result[#result + 1] = redis.call('GET', textKey(stream)) or ''
  end
end
return result
