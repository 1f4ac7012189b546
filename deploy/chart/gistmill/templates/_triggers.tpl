{{/* Whether KEDA needs the token. */}}
{{- define "gistmill.demandAuth" -}}
{{- if and .Values.server.enabled .Values.server.auth.enabled .Values.server.auth.metrics -}}
true
{{- end -}}
{{- end -}}

{{/* host:port of Redis for KEDA: as set, else from the URL. */}}
{{- define "gistmill.triggerAddress" -}}
{{- if .Values.redis.trigger.address -}}
{{- .Values.redis.trigger.address -}}
{{- else if not .Values.redis.existingSecret -}}
{{- with include "gistmill.redisURL" . -}}
{{- if regexMatch "^rediss?://" . -}}
{{- $host := (urlParse .).host -}}
{{- ternary $host (printf "%s:6379" $host) (regexMatch ":[0-9]+$" $host) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The address for KEDA, which resolves it in its own namespace: a bare Service name gets the release's namespace. */}}
{{- define "gistmill.triggerAddressFull" -}}
{{- $address := include "gistmill.triggerAddress" . -}}
{{- if and (not .Values.redis.trigger.address) (not (contains "." (regexReplaceAll ":[0-9]+$" $address ""))) (not (hasPrefix "[" $address)) -}}
{{- regexReplaceAll "^([^:]+):" $address (printf "${1}.%s.svc:" .Release.Namespace) -}}
{{- else -}}
{{- $address -}}
{{- end -}}
{{- end -}}

{{/* The Secrets with KEDA's Redis login and TLS files, one line each; empty: none. */}}
{{- define "gistmill.triggerAuth" -}}
{{- with .Values.redis.trigger -}}
{{- $secret := .existingSecret -}}
{{- $keys := dict "username" .usernameKey "password" .passwordKey -}}
{{- if and (not $secret) (not $.Values.redis.existingSecret) -}}
{{- $secret = include "gistmill.ownSecret" $ -}}
{{- $keys = dict
      "username" (ternary "redis-username" "" (not (empty (include "gistmill.redisUser" $))))
      "password" (ternary "redis-password" "" (not (empty (include "gistmill.redisPassword" $)))) -}}
{{- end -}}
{{- $lines := list -}}
{{- range $parameter := list "username" "password" -}}
{{- if and $secret (get $keys $parameter) -}}
{{- $lines = append $lines (printf "- {parameter: %s, name: %s, key: %s}" $parameter $secret (get $keys $parameter)) -}}
{{- end -}}
{{- end -}}
{{- with .tls -}}
{{- range $parameter, $key := dict "ca" .caKey "cert" .certKey "key" .keyKey -}}
{{- if and $.Values.redis.trigger.tls.existingSecret $key -}}
{{- $lines = append $lines (printf "- {parameter: %s, name: %s, key: %s}" $parameter $.Values.redis.trigger.tls.existingSecret $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- join "\n" $lines -}}
{{- end -}}
{{- end -}}

{{/* A trigger on one key of the queue: list root state. All have the same target, since KEDA compares counts. */}}
{{- define "gistmill.redisTrigger" -}}
{{- $root := index . 0 -}}
{{- $redis := $root.Values.redis.trigger -}}
{{- $url := ternary "" (include "gistmill.redisURL" $root) (not (empty $root.Values.redis.existingSecret)) }}
- type: {{ $redis.type }}
  metadata:
    {{ ternary "address" "addresses" (eq $redis.type "redis") }}: {{ include "gistmill.triggerAddressFull" $root | quote }}
    listName: {{ printf "asynq:{%s}:%s" (include "gistmill.queue" $root) (index . 1) | quote }}
    listLength: {{ include "gistmill.partitions" $root | quote }}
    {{- if ne $redis.type "redis-cluster" }}
    databaseIndex: {{ regexFind "[0-9]+$" ((urlParse $url).path | default "") | default (toString (int $redis.databaseIndex)) | quote }}
    {{- end }}
    enableTLS: {{ or $redis.enableTLS (hasPrefix "rediss:" $url) | quote }}
    {{- if eq $redis.type "redis-sentinel" }}
    sentinelMaster: {{ $redis.sentinelMaster | quote }}
    {{- end }}
  {{- if include "gistmill.triggerAuth" $root }}
  authenticationRef:
    name: {{ include "gistmill.fullname" $root }}-redis
  {{- end }}
{{- end -}}
