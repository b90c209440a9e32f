-- The handoff in meta: `h` state, `hv` version, `hr` reason as JSON, `hl` name of this life of the handoff, `hw` when it was last asked for (ms), `hm` the operator in four
-- lines: user, member as JSON, sender as operators see it, sender as visitors see it. None of them holds a line end.

-- From the fields h, hv, hm, hr, f of meta six values: state, version, operator's member as JSON or '', '1' where visitors may know of
-- it, reason as JSON or '', fence or 0.
local function handoffIn(m, writers)
  local member, wrote = '', '0'
  if m[3] then
    local user, json = string.match(m[3], '^([^\n]*)\n([^\n]*)\n')
    member, wrote = json, wroteFlag(writers, user)
  end
  return { m[1] or 'none', m[2] or '0', member, wrote, m[4] or '', m[5] or '0' }
end

local function handoffOf(meta, writers)
  return handoffIn(redis.call('HMGET', meta, 'h', 'hv', 'hm', 'hr', 'f'), writers)
end
