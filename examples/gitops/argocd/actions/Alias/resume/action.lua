-- An empty table would be taken for a list, and the annotations left as they were: rather none at all.
if obj.metadata.annotations ~= nil then
  obj.metadata.annotations["lambent.dev/rollout"] = nil
  if next(obj.metadata.annotations) == nil then
    obj.metadata.annotations = nil
  end
end
return obj
