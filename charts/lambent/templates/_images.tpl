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

{{/* `.image`, of this release when it names no version itself; `.root` is the chart's context. */}}
{{- define "lambent.released" -}}
{{- $versioned := or (contains "@" .image) (contains ":" (splitList "/" .image | last)) -}}
{{- $full := ternary .image (printf "%s:%s" .image .root.Chart.AppVersion) $versioned -}}
{{- include "lambent.mirrored" (dict "root" .root "image" $full) -}}
{{- end -}}

{{/* Identifier to image, as JSON. */}}
{{- define "lambent.runtimes" -}}
{{- $images := dict -}}
{{- range $runtime, $image := .Values.runtimes -}}
{{- $_ := set $images $runtime (include "lambent.released" (dict "root" $ "image" $image)) -}}
{{- end -}}
{{- toJson $images -}}
{{- end -}}

{{/* The newest Python that is offered, for what has to show or prove that functions run; empty when there is none. */}}
{{- define "lambent.pythonRuntime" -}}
{{- $minors := list -}}
{{- range $runtime, $_ := .Values.runtimes -}}
{{- if regexMatch "^python3[.][0-9]+$" $runtime }}{{ $minors = append $minors (trimPrefix "python3." $runtime | int) }}{{ end -}}
{{- end -}}
{{- with $minors }}{{ printf "python3.%d" (include "lambent.largest" . | int) }}{{ end -}}
{{- end -}}

{{- define "lambent.largest" -}}
{{- $largest := 0 -}}
{{- range . }}{{ $largest = max $largest . }}{{ end -}}
{{- $largest -}}
{{- end -}}
