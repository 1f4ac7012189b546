{{/* The Secrets with addresses and keys: existing ones, or the chart's own. */}}
{{- define "gistmill.ownSecret" -}}
{{ include "gistmill.fullname" . }}-connections
{{- end -}}

{{- define "gistmill.redisURL" -}}
{{- if .Values.redis.url -}}
{{ .Values.redis.url }}
{{- else if .Values.dev.redis.enabled -}}
redis://:{{ .Values.dev.redis.password | urlquery }}@{{ include "gistmill.fullname" . }}-redis:6379/0
{{- end -}}
{{- end -}}

{{- define "gistmill.storeURL" -}}
{{- if .Values.store.url -}}
{{ .Values.store.url }}
{{- else if .Values.dev.postgresql.enabled -}}
postgres://gistmill:{{ .Values.dev.postgresql.password | urlquery }}@{{ include "gistmill.fullname" . }}-postgresql:5432/gistmill?sslmode=disable
{{- end -}}
{{- end -}}

{{/* The address variables of every gistmill pod. */}}
{{- define "gistmill.connectionEnv" -}}
- name: GISTMILL_REDIS
  valueFrom:
    secretKeyRef:
      name: {{ .Values.redis.existingSecret | default (include "gistmill.ownSecret" .) }}
      key: {{ ternary .Values.redis.key "redis" (not (empty .Values.redis.existingSecret)) }}
- name: GISTMILL_STORE
  valueFrom:
    secretKeyRef:
      name: {{ .Values.store.existingSecret | default (include "gistmill.ownSecret" .) }}
      key: {{ ternary .Values.store.key "store" (not (empty .Values.store.existingSecret)) }}
{{- end -}}

{{/* The endpoint's keys, for pods that call it or use it to name the profile. */}}
{{- define "gistmill.keyEnv" -}}
{{- with .Values.llm }}
{{- if .existingSecret }}
{{- if .asFile }}
- {name: GISTMILL_API_KEY_FILE, value: /etc/gistmill/llm/{{ .key }}}
{{- else }}
- name: GISTMILL_API_KEY
  valueFrom:
    secretKeyRef: {name: {{ .existingSecret }}, key: {{ .key }}}
{{- end }}
{{- if .fallbackKeysKey }}
- name: GISTMILL_FALLBACK_API_KEYS
  valueFrom:
    secretKeyRef: {name: {{ .existingSecret }}, key: {{ .fallbackKeysKey }}}
{{- end }}
{{- if .headersKey }}
- name: GISTMILL_HEADERS
  valueFrom:
    secretKeyRef: {name: {{ .existingSecret }}, key: {{ .headersKey }}}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "gistmill.authSecret" -}}
{{ .Values.server.auth.existingSecret | default (printf "%s-server-auth" (include "gistmill.fullname" .)) }}
{{- end -}}

{{- define "gistmill.authKey" -}}
{{ ternary .Values.server.auth.key "token" (not (empty .Values.server.auth.existingSecret)) }}
{{- end -}}

{{/* The parts of redis.url that a KEDA trigger needs separately. */}}
{{- define "gistmill.redisUser" -}}
{{- with include "gistmill.redisURL" . -}}
{{- regexReplaceAll ":.*$" ((urlParse .).userinfo | default "") "" | include "gistmill.unescaped" -}}
{{- end -}}
{{- end -}}

{{- define "gistmill.redisPassword" -}}
{{- with include "gistmill.redisURL" . -}}
{{- $info := (urlParse .).userinfo | default "" -}}
{{- if contains ":" $info -}}
{{- regexReplaceAll "^[^:]*:" $info "" | include "gistmill.unescaped" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* p%40ss to p@ss: urlParse does it for a path. */}}
{{- define "gistmill.unescaped" -}}
{{- trimPrefix "/" (urlParse (printf "http://x/%s" .)).path -}}
{{- end -}}
