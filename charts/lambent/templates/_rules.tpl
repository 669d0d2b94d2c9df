{{/* Every right that a process has, declared once; rbac.yaml decides whether it holds in the cluster or in the watched
     namespaces. No wildcards. */}}

{{/* In every namespace whose functions this release works on. */}}
{{- define "lambent.rules.controller" -}}
- apiGroups: [lambent.dev] # long code is read when it is needed, not held
  resources: [functions, layers]
  verbs: [get, list, watch]
- apiGroups: [lambent.dev]
  resources: [functions/status, layers/status]
  verbs: [patch]
- apiGroups: [lambent.dev] # some clusters ask for it of whoever writes ownerReferences with blockOwnerDeletion
  resources: [functions/finalizers, layers/finalizers]
  verbs: [update]
- apiGroups: [lambent.dev] # versions are made, read when an answer was lost, given their owner, let go by retention
  resources: [versions]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [lambent.dev] # aliases are given their owner; what was asked by annotation is taken away when it is done
  resources: [aliases]
  verbs: [list, patch, watch]
- apiGroups: [lambent.dev]
  resources: [aliases/status, versions/status]
  verbs: [patch]
- apiGroups: [lambent.dev] # as above: a version owns its environments
  resources: [versions/finalizers]
  verbs: [update]
- apiGroups: [lambent.dev] # a change of a layer is published as another version
  resources: [layerversions]
  verbs: [create, list, watch]
- apiGroups: [""]
  resources: [pods]
  verbs: [create, delete, get, list, watch]
- apiGroups: [""]
  resources: [pods/resize]
  verbs: [patch]
- apiGroups: [""] # code.configMapRef is read; of environment.valueFrom only the resource version is looked at
  resources: [configmaps]
  verbs: [get, list, watch]
- apiGroups: [""] # the numbers that were given to versions
  resources: [configmaps]
  verbs: [create]
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [lambent-numbers]
  verbs: [patch]
- apiGroups: [""] # of fileSystemConfigs: whether there is such a claim
  resources: [persistentvolumeclaims]
  verbs: [list, watch]
{{- if .Values.rbac.secrets }}
- apiGroups: [""] # credentials for code and registries are read; of the others only the resource version is looked at
  resources: [secrets]
  verbs: [get, list, watch]
{{- end }}
{{- if .Values.networkPolicy.environments }}
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [create, delete, get, list, patch, watch]
{{- end }}
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{- define "lambent.rules.gateway" -}}
- apiGroups: [lambent.dev]
  resources: [functions, versions, aliases]
  verbs: [list, watch]
- apiGroups: [lambent.dev] # what hooks of rollouts report
  resources: [aliases/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
{{- end -}}

{{- define "lambent.rules.departure" -}}
- apiGroups: [""]
  resources: [pods]
  verbs: [delete, list]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [delete, list]
{{- end -}}

{{/* About objects that are in no namespace. */}}
{{- define "lambent.rules.controllerCluster" -}}
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list, watch]
{{- end -}}

{{- define "lambent.rules.gatewayCluster" -}}
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list, watch]
- apiGroups: [authentication.k8s.io] # the controller at the internal door, callers at the public one
  resources: [tokenreviews]
  verbs: [create]
{{- if eq .Values.auth.mode "kubernetes" }}
- apiGroups: [authorization.k8s.io]
  resources: [subjectaccessreviews]
  verbs: [create]
{{- end }}
{{- end -}}

{{- define "lambent.rules.departureCluster" -}}
{{- end -}}

{{/* In the release's own namespace. Rights to create or list cannot be bound to a name. */}}
{{- define "lambent.rules.controllerOwn" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "lambent.name" . }}-controller]
  verbs: [get, patch, update]
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [{{ include "lambent.keysSecret" . }}]
  verbs: [get, patch] # patch adds a key that is missing, none is overwritten
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
{{- end -}}

{{- define "lambent.rules.departureOwn" -}}
- apiGroups: [apps]
  resources: [deployments/scale]
  resourceNames: [{{ include "lambent.name" . }}-controller, {{ include "lambent.name" . }}-gateway]
  verbs: [patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
- apiGroups: [""] # what a failed `helm test` left to be read
  resources: [pods]
  resourceNames: [{{ include "lambent.name" . }}-selftest]
  verbs: [delete]
{{- end -}}
