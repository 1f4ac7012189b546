{{/* camelCase to the environment variable: baseUrl is GISTMILL_BASE_URL. */}}
{{- define "gistmill.variable" -}}
GISTMILL_{{ regexReplaceAll "([A-Z])" . "_${1}" | upper }}
{{- end -}}

{{/* A value in the form that gistmill reads. Numbers arrive as floats, and 2000000 must not become 2e+06. */}}
{{- define "gistmill.value" -}}
{{- if kindIs "slice" . -}}
{{- join "," . -}}
{{- else if and (kindIs "float64" .) (eq . (floor .)) -}}
{{- printf "%.0f" . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{/* Whole seconds, rounded up, of a duration as Go writes it: 1h2m3.5s, 500ms. */}}
{{- define "gistmill.seconds" -}}
{{- $sum := 0.0 -}}
{{- range regexFindAll "[0-9.]+(ns|us|µs|ms|h|m|s)" (toString .) -1 -}}
{{- $number := regexFind "^[0-9.]+" . | float64 -}}
{{- $unit := regexFind "[a-zµ]+$" . -}}
{{- $factor := get (dict "h" 3600.0 "m" 60.0 "s" 1.0 "ms" 0.001) $unit | default 0.0 -}}
{{- $sum = addf $sum (mulf $number $factor) -}}
{{- end -}}
{{- ceil $sum | int -}}
{{- end -}}

{{/* shutdown-grace in seconds: as set, else as gistmill derives it. */}}
{{- define "gistmill.graceSeconds" -}}
{{- with .Values.settings.shutdownGrace -}}
{{- include "gistmill.seconds" . -}}
{{- else -}}
{{- $timeout := include "gistmill.seconds" (.Values.settings.requestTimeout | default "2m") | int -}}
{{- if eq (.Values.settings.service | default "standard") "flex" -}}
{{- $timeout = max $timeout (include "gistmill.seconds" (.Values.settings.flexTimeout | default "15m") | int) -}}
{{- end -}}
{{- add 10 $timeout -}}
{{- end -}}
{{- end -}}

{{- define "gistmill.workerTerminationSeconds" -}}
{{- .Values.workers.terminationGracePeriodSeconds | default (add 20 (include "gistmill.graceSeconds" . | int)) | int -}}
{{- end -}}

{{/* The worker's own deadline. */}}
{{- define "gistmill.workerDeadlineSeconds" -}}
{{- $beside := add (.Values.workers.startMarginSeconds | int) (include "gistmill.workerTerminationSeconds" . | int) -}}
{{- sub (.Values.workers.activeDeadlineSeconds | int) $beside -}}
{{- end -}}

{{- define "gistmill.partitions" -}}
{{- include "gistmill.value" (.Values.settings.partitions | default 4.0) -}}
{{- end -}}

{{- define "gistmill.queue" -}}
{{- .Values.settings.queue | default "documents" -}}
{{- end -}}

{{/* All settings as variables, always with partitions: it is also KEDA's target. */}}
{{- define "gistmill.settings" -}}
{{- $settings := dict "logFormat" "json" -}}
{{- range $name, $value := .Values.settings -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $_ := set $settings $name $value -}}
{{- end -}}
{{- end -}}
{{- $_ := set $settings "partitions" (include "gistmill.partitions" .) -}}
{{- range $name, $value := $settings }}
{{ include "gistmill.variable" $name }}: {{ include "gistmill.value" $value | quote }}
{{- end }}
{{- end -}}

{{/* A checksum of everything that pods read only at their start. */}}
{{- define "gistmill.settingsChecksum" -}}
{{- list (include "gistmill.settings" .) (include "gistmill.redisURL" .) (include "gistmill.storeURL" .) .Values.files | toJson | sha256sum -}}
{{- end -}}
