-- What can be asked of an Alias's rollout in Argo CD: see docs/guide/gitops.md.
local rollout = (obj.status or {}).rollout
local going = rollout ~= nil and rollout.finishedAt == nil
local asked = (obj.metadata.annotations or {})["lambent.dev/rollout"]
return {
  pause = { disabled = not going or asked ~= nil },
  resume = { disabled = asked ~= "pause" },
  promote = { disabled = not going },
  abort = { disabled = not going },
}
