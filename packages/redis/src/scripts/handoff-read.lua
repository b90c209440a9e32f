-- The handoff of a dialog.
-- KEYS 1 meta, 2 writers
-- Result the six values of lib/handoff; {} where nothing is stored of the dialog
-- @include present
-- @include handoff

if redis.call('EXISTS', KEYS[1]) == 0 then
  return {}
end
return handoffOf(KEYS[1], KEYS[2])
