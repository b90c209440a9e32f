-- Whether a write comes from one whose turn is over: an older fence than the dialog's, or an assistant's without one while a
-- person has the dialog. `user` is the writer's.
local function isStale(fence, held, handoff, user)
  if fence then
    return held ~= nil and fence < held
  end
  return handoff == 'active' and string.sub(user, 1, 10) == 'assistant:'
end
