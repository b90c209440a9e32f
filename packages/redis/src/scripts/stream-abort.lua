-- Ends a stream without a message.
-- KEYS 1 meta, 2 streams, 3 main channel, 4-7 texts
-- ARGV 1 PUBLISH or SPUBLISH, 2 stream id
-- Result {'aborted', '1' where it was before}, {'over', how}, {'not_found'}
-- @include time
-- @include fence
-- @include streams

local stream = find(ARGV[2])
if not stream then
  return { 'not_found' }
end
if stream.state == 'open' then
  endStream(stream, 'aborted', nowMs())
  return { 'aborted', '0' }
end
if stream.state == 'aborted' then
  return { 'aborted', '1' }
end
return { 'over', stream.state }
