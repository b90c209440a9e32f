-- Adds a piece to an open stream and tells it.
-- KEYS 1 meta, 2 streams, 3 main channel, 4-7 texts
-- ARGV 1 PUBLISH or SPUBLISH, 2 stream id, 3 index, 4 piece as the inside of a JSON string, 5 its units, 6 most units of a stream,
--   7 most idle time (ms), 8 how long streams are remembered (ms)
-- Result {'open', next index, '1' where this piece was the last already}, {'over', how}, {'conflict' | 'too_large' | 'not_found'}
-- @include time
-- @include fence
-- @include streams

local now = nowMs()
local stream = find(ARGV[2])
if not stream then
  return { 'not_found' }
end
endIfIdle(stream, now, tonumber(ARGV[7]))
if stream.state == 'open' then
  endIfRefused(stream, now)
end
if stream.state ~= 'open' then
  return { 'over', stream.state }
end
local index, piece = tonumber(ARGV[3]), ARGV[4]
local key = textKey(stream)
if index == stream.next - 1 and #piece == stream.last and redis.call('GETRANGE', key, -#piece, -1) == piece then
  return { 'open', stream.next, '1' }
end
if index ~= stream.next then
  return { 'conflict' }
end
local units = stream.units + tonumber(ARGV[5])
if units > tonumber(ARGV[6]) then
  return { 'too_large' }
end
redis.call('APPEND', key, piece)
stream.next, stream.units, stream.last = index + 1, units, #piece
save(stream, now)
keep(KEYS[2], tonumber(ARGV[8]))
keep(key, tonumber(ARGV[8]))
redis.call(ARGV[1], KEYS[3], 'd' .. ARGV[3] .. ':0:' .. stream.id .. '\n{"type":"delta","stream_id":' .. stream.name .. ',"index":'
  .. ARGV[3] .. ',"text":"' .. piece .. '"}')
return { 'open', stream.next, '0' }
