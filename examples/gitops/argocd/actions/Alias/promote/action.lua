-- The controller reads the annotation.
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["lambent.dev/rollout"] = "promote"
return obj
