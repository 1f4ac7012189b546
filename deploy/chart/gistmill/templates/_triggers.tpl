{{/* Whether KEDA has to show the token. */}}
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

{{/* The address as KEDA resolves it: a bare Service name is one of the release's namespace, not of KEDA's. */}}
{{- define "gistmill.triggerAddressFull" -}}
{{- $address := include "gistmill.triggerAddress" . -}}
{{- if and (not .Values.redis.trigger.address) (not (contains "." (regexReplaceAll ":[0-9]+$" $address ""))) (not (hasPrefix "[" $address)) -}}
{{- regexReplaceAll "^([^:]+):" $address (printf "${1}.%s.svc:" .Release.Namespace) -}}
{{- else -}}
{{- $address -}}
{{- end -}}
{{- end -}}

{{/* A dict of secret, username, password: where KEDA finds them; keys that are not there are absent. */}}
{{- define "gistmill.triggerAuth" -}}
{{- with .Values.redis.trigger -}}
{{- if .existingSecret -}}
{{- dict "secret" .existingSecret "username" .usernameKey "password" .passwordKey | toYaml -}}
{{- else if not $.Values.redis.existingSecret -}}
{{- dict "secret" (include "gistmill.ownSecret" $)
      "username" (ternary "redis-username" "" (not (empty (include "gistmill.redisUser" $))))
      "password" (ternary "redis-password" "" (not (empty (include "gistmill.redisPassword" $)))) | toYaml -}}
{{- else -}}
{}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A trigger on one key of the queue: list root state. All have the same target, for KEDA compares counts. */}}
{{- define "gistmill.redisTrigger" -}}
{{- $root := index . 0 -}}
{{- $redis := $root.Values.redis.trigger -}}
{{- $auth := include "gistmill.triggerAuth" $root | fromYaml -}}
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
  {{- if or $auth.username $auth.password }}
  authenticationRef:
    name: {{ include "gistmill.fullname" $root }}-redis
  {{- end }}
{{- end -}}
