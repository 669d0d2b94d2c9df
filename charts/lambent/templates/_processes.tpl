{{/* What every process' pod has in common: Pod Security `restricted`, probes, settings. */}}

{{- define "lambent.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ int64 .Values.runAsUser }}
runAsGroup: {{ int64 .Values.runAsUser }}
fsGroup: {{ int64 .Values.runAsUser }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "lambent.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "lambent.scheduling" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Ready says that the process answers, not that it leads. */}}
{{- define "lambent.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: metrics}
  periodSeconds: 2
  timeoutSeconds: 2
{{- end -}}

{{- define "lambent.environment" -}}
- name: LAMBENT_LOG_LEVEL
  value: {{ .Values.logLevel | quote }}
- name: LAMBENT_METRICS_PORT # said aloud: a Service named lambent-metrics would set it to tcp://…
  value: "9090"
{{- end -}}

{{/* Of the two that speak to the API server. */}}
{{- define "lambent.scope" -}}
- name: LAMBENT_POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: LAMBENT_POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: LAMBENT_NAMESPACES
  value: {{ join "," .Values.watchNamespaces | quote }}
- name: LAMBENT_REGION
  value: {{ .Values.region | quote }}
- name: LAMBENT_CODESTORE_URL
  value: {{ include "lambent.codestoreUrl" . | quote }}
{{- end -}}

{{/* For a process with more than one replica: of one replica it would only block node drains. */}}
{{- define "lambent.disruption" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "lambent.name" .root }}-{{ .process }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "lambent.labels" .root | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "lambent.selector" .root | nindent 6 }}
      app.kubernetes.io/component: {{ .process }}
{{- end -}}

{{/* What `helm test` needs besides its pod: there during the test only. */}}
{{- define "lambent.testHook" -}}
helm.sh/hook: test
helm.sh/hook-weight: "-1"
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded,hook-failed
{{- end -}}
