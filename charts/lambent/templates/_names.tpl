{{/* Names and labels. Everything namespaced is `<release>-…`; everything cluster-wide has the namespace in its name
     too, because two releases of one name may live in two namespaces. */}}

{{- define "lambent.name" -}}
{{- .Release.Name | replace "." "-" | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "lambent.clusterName" -}}
{{- printf "%s-%s" (include "lambent.name" .) .Release.Namespace | trunc 100 | trimSuffix "-" -}}
{{- end -}}

{{- define "lambent.labels" -}}
{{ include "lambent.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: lambent
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* What never changes about a process' pods; the caller adds app.kubernetes.io/component. */}}
{{- define "lambent.selector" -}}
app.kubernetes.io/name: lambent
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "lambent.keysSecret" -}}
{{ include "lambent.name" . }}-keys
{{- end -}}

{{- define "lambent.controllerUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "lambent.name" . }}-controller
{{- end -}}

{{/* Where code is fetched. The address comes from the variables that the kubelet sets for Services of the namespace:
     an agent dials what the gateway tells it, and a cold start must not wait for, or fail with, the cluster's DNS. The
     Service precedes the pods (Helm installs it first) and keeps its address for life. */}}
{{- define "lambent.codestoreUrl" -}}
{{- $variable := printf "%s_CODESTORE_SERVICE_HOST" (include "lambent.name" . | replace "-" "_" | upper) -}}
{{- .Values.codestore.url | default (printf "http://$(%s):8082" $variable) -}}
{{- end -}}

{{- define "lambent.defaultNamespace" -}}
{{- $first := "default" -}}
{{- with .Values.watchNamespaces }}{{ $first = first . }}{{ end -}}
{{- $chosen := .Values.defaultNamespace | default $first -}}
{{- if and .Values.watchNamespaces (not (has $chosen .Values.watchNamespaces)) -}}
{{- fail (printf "defaultNamespace %q is not one of watchNamespaces" $chosen) -}}
{{- end -}}
{{- $chosen -}}
{{- end -}}
