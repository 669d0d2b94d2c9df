{{/* Every right that a process has, declared once; rbac.yaml decides whether it holds in the cluster or in the watched
     namespaces. No wildcards. */}}

{{/* In every namespace whose functions this release works on. */}}
{{- define "lambent.rules.controller" -}}
- apiGroups: [lambent.dev]
  resources: [functions]
  verbs: [get, list, watch]
- apiGroups: [lambent.dev]
  resources: [functions/status]
  verbs: [patch]
- apiGroups: [lambent.dev] # some clusters ask for it of whoever writes ownerReferences with blockOwnerDeletion
  resources: [functions/finalizers]
  verbs: [update]
- apiGroups: [""]
  resources: [pods]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [""]
  resources: [pods/resize]
  verbs: [patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{- define "lambent.rules.gateway" -}}
- apiGroups: [lambent.dev]
  resources: [functions]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
{{- end -}}

{{/* About objects that are in no namespace. */}}
{{- define "lambent.rules.controllerCluster" -}}
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get, list, watch]
{{- end -}}

{{- define "lambent.rules.gatewayCluster" -}}
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get, list, watch]
- apiGroups: [authentication.k8s.io]
  resources: [tokenreviews]
  verbs: [create]
{{- end -}}

{{/* In the release's own namespace. Rights to create cannot be bound to a name. */}}
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
  verbs: [get, list, watch]
{{- end -}}
