-- Ends a stream whose answer is to be published.
-- KEYS 1 meta, 2 streams, 3 main channel, 4-7 texts
-- ARGV 1 PUBLISH or SPUBLISH, 2 stream id, 3 '1' where the caller has a text, 4 most idle time (ms)
-- Result {'finishing', sender as JSON, fence or '', text as the inside of a JSON string}, {'finished', position}, {'over', how},
--   {'conflict' | 'not_found'}
-- @include time
-- @include fence
-- @include streams

local now = nowMs()
local stream = find(ARGV[2])
if not stream then
  return { 'not_found' }
end
if stream.state == 'finished' then
  return { 'finished', stream.position }
end
if stream.state == 'open' then
  endIfIdle(stream, now, tonumber(ARGV[4]))
end
if stream.state == 'open' then
  endIfRefused(stream, now)
end
if stream.state ~= 'open' and stream.state ~= 'finishing' then
  return { 'over', stream.state }
end
if stream.units == 0 and ARGV[3] ~= '1' then
  return { 'conflict' }
end
endStream(stream, 'finishing', now)
return { 'finishing', stream.sender, stream.fence, redis.call('GET', textKey(stream)) or '' }
