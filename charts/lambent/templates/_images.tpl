{{/* Image references. */}}

{{/* `.image` with its registry host replaced by global.imageRegistry. A first part is a host when it has a dot or a
     colon or is localhost; `.root` is the chart's context. */}}
{{- define "lambent.mirrored" -}}
{{- $parts := splitList "/" .image -}}
{{- $host := first $parts -}}
{{- $named := and (gt (len $parts) 1) (or (contains "." $host) (contains ":" $host) (eq $host "localhost")) -}}
{{- with .root.Values.global.imageRegistry -}}
{{ . | trimSuffix "/" }}/{{ join "/" (ternary (rest $parts) $parts $named) }}
{{- else -}}
{{ .image }}
{{- end -}}
{{- end -}}

{{- define "lambent.image" -}}
{{- $repository := include "lambent.mirrored" (dict "root" . "image" .Values.image.repository) -}}
{{- if .Values.image.digest -}}
{{ $repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ $repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* Identifier to image, as JSON. */}}
{{- define "lambent.runtimes" -}}
{{- $images := dict -}}
{{- range $runtime, $image := .Values.runtimes -}}
{{- $versioned := or (contains "@" $image) (contains ":" (splitList "/" $image | last)) -}}
{{- $full := ternary $image (printf "%s:%s" $image $.Chart.AppVersion) $versioned -}}
{{- $_ := set $images $runtime (include "lambent.mirrored" (dict "root" $ "image" $full)) -}}
{{- end -}}
{{- toJson $images -}}
{{- end -}}
