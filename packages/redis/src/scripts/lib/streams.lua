-- Answers that are being written. The including script has these in common: KEYS 1 meta, 2 streams, 3 main channel, 4-7 texts;
-- ARGV 1 PUBLISH or SPUBLISH.
-- The hash of streams has a field for each, by its id, and in the field '' the number of open ones. A value is eleven lines: state
-- (`open`, `finishing`, else how it ended), number of its text or 0, index of the next piece, units so far, bytes of the last
-- piece, time of the last step (ms), fence or '', user of the sender, sender as JSON, id as JSON, position of its message or ''.
-- A text is the inside of a JSON string: pieces are joined as they came.

local function streamOf(id, value)
  local lines = {}
  for line in string.gmatch(value, '([^\n]*)\n') do
    lines[#lines + 1] = line
  end
  return {
    id = id, state = lines[1], slot = tonumber(lines[2]), next = tonumber(lines[3]), units = tonumber(lines[4]),
    last = tonumber(lines[5]), touched = tonumber(lines[6]), fence = lines[7], user = lines[8], sender = lines[9],
    name = lines[10], position = lines[11],
  }
end

local function find(id)
  local value = redis.call('HGET', KEYS[2], id)
  return value and streamOf(id, value)
end

local function textKey(stream)
  return KEYS[3 + stream.slot]
end

local function save(stream, now)
  stream.touched = now
  redis.call('HSET', KEYS[2], stream.id, table.concat({
    stream.state, stream.slot, stream.next, stream.units, stream.last, string.format('%.0f', now), stream.fence, stream.user,
    stream.sender, stream.name, stream.position,
  }, '\n') .. '\n')
end

-- A stream that was open has its last delta; after it there is none.
local function endStream(stream, how, now)
  if stream.state == 'open' then
    redis.call('HINCRBY', KEYS[2], '', -1)
    redis.call(ARGV[1], KEYS[3], 'd' .. stream.next .. ':1:' .. stream.id .. '\n{"type":"delta","stream_id":' .. stream.name
      .. ',"index":' .. stream.next .. ',"text":"","done":true,"reason":"' .. (how == 'finishing' and 'finished' or how) .. '"}')
  end
  if how ~= 'finishing' and stream.slot > 0 then
    redis.call('DEL', textKey(stream))
    stream.slot = 0
  end
  stream.state = how
  save(stream, now)
end

local function allStreams()
  local streams = {}
  local all = redis.call('HGETALL', KEYS[2])
  for i = 1, #all, 2 do
    if all[i] ~= '' then
      streams[#streams + 1] = streamOf(all[i], all[i + 1])
    end
  end
  return streams
end

-- Ends the stream where nobody has gone on with it. A finishing one has had its last delta.
local function endIfIdle(stream, now, idleMs)
  if (stream.state == 'open' or stream.state == 'finishing') and now - stream.touched > idleMs then
    endStream(stream, 'expired', now)
  end
end

-- Ends the stream where its writer's turn is over, or the dialog.
local function endIfRefused(stream, now)
  local m = redis.call('HMGET', KEYS[1], 'c', 'f', 'h')
  if m[1] == '1' then
    endStream(stream, 'closed', now)
  elseif isStale(tonumber(stream.fence), tonumber(m[2]), m[3], stream.user) then
    endStream(stream, 'stale_fence', now)
  end
end

-- Set seldom: a read is neither logged nor replicated.
local function keep(key, ttlMs)
  if redis.call('PTTL', key) < ttlMs / 2 then
    redis.call('PEXPIRE', key, ttlMs)
  end
end
