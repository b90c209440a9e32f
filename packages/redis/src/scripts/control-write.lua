-- Writes entries of one kind to the control snapshot and, where that changes it, to the stream. The rules are those of core's
-- `written` and `seeded`.
-- KEYS 1 epoch, 2 log, 3 entries: id -> text, 4 their expiries: id by time (ms)
--   text: kind (r revocation, b ban, x lifted), time of making (ms), expiry (ms), threshold or '', each ended by '|', a line end,
--   the rest as JSON
-- ARGV 1 a fresh name, 2 lineage, 3 when it was first seen (ms), 4 most entries of the stream, 5 most entries of the snapshot or
--   '0', 6 'write' or 'seed', then for each entry its id and text
-- Result {for each entry its text as it is stored, '' where nothing was written}
-- @include time
-- @include control

local now = nowMs()
local hash, expiries = KEYS[3], KEYS[4]

local function parse(text)
  local kind, made, expires, threshold, rest = string.match(text, '^(%l)|(%d+)|(%d+)|([^|\n]*)|\n(.*)$')
  return { kind = kind, made = made, expires = expires, threshold = threshold, rest = rest }
end

local function compose(entry)
  return table.concat({ entry.kind, entry.made, entry.expires, entry.threshold, '\n' .. entry.rest }, '|')
end

-- The greater of two numbers in text, as it is written.
local function greater(a, b)
  return (tonumber(a) or -1) > (tonumber(b) or -1) and a or b
end

local function join(held, entry)
  entry.expires = greater(held.expires, entry.expires)
  entry.threshold = greater(held.threshold, entry.threshold)
end

local function write(held, entry)
  if tonumber(held.made) >= tonumber(entry.made) then
    entry.made = string.format('%.0f', tonumber(held.made) + 1)
  end
  if held.kind == 'r' and entry.kind == 'r' then
    join(held, entry)
  elseif entry.kind == 'x' then
    entry.expires = greater(held.expires, entry.expires)
  end
  return true
end

local function seed(held, entry)
  local made, heldMade = tonumber(entry.made), tonumber(held.made)
  if held.kind == 'r' and entry.kind == 'r' then
    join(held, entry)
    entry.made = greater(held.made, entry.made)
    return compose(entry) ~= compose(held)
  end
  if made ~= heldMade then
    return made > heldMade
  end
  if entry.kind ~= held.kind then
    return entry.kind == 'x'
  end
  return tonumber(entry.expires) > tonumber(held.expires)
end

controlEpoch()
local over = redis.call('ZRANGEBYSCORE', expiries, '-inf', string.format('%.0f', now), 'LIMIT', 0, 1000)
for i = 1, #over do
  redis.call('HDEL', hash, over[i])
  redis.call('ZREM', expiries, over[i])
end

local settle = ARGV[6] == 'seed' and seed or write
local result = {}
for i = 7, #ARGV, 2 do
  local id, entry = ARGV[i], parse(ARGV[i + 1])
  local text = redis.call('HGET', hash, id)
  local held = text and parse(text)
  if held and tonumber(held.expires) <= now then
    held = nil
  end
  local changes = not held or settle(held, entry)
  if changes and tonumber(entry.expires) > now then
    local stored = compose(entry)
    redis.call('HSET', hash, id, stored)
    redis.call('ZADD', expiries, entry.expires, id)
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', 'e', stored)
    result[#result + 1] = stored
  else
    result[#result + 1] = ''
  end
end

-- What would be over first gives way.
local most = tonumber(ARGV[5])
local excess = most > 0 and redis.call('HLEN', hash) - most or 0
if excess > 0 then
  local first = redis.call('ZPOPMIN', expiries, excess)
  for i = 1, #first, 2 do
    redis.call('HDEL', hash, first[i])
  end
end
return result
