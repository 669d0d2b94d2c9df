-- Health of a Layer for Argo CD: Lua 5.1 with the base and table libraries alone.
-- Degraded when only a person can help.
local health = { status = "Progressing", message = "waiting for the controller" }
local status = obj.status or {}
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local function is(name, value)
  return conditions[name] ~= nil and conditions[name].status == value
end

local ready = conditions["Ready"]
if ready ~= nil and ready.observedGeneration == obj.metadata.generation then
  health.message = ready.message
end
if status.observedGeneration ~= obj.metadata.generation then
  return health
end

if is("Stalled", "True") then
  health.status = "Degraded"
elseif is("Ready", "True") and not is("Reconciling", "True") then
  health.status = "Healthy"
end
return health
