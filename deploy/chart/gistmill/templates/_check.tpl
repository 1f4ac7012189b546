{{/* Checks of several values together, which the schema cannot express. */}}
{{- define "gistmill.check" -}}
{{- $problems := list -}}
{{- if not (or .Values.redis.existingSecret (include "gistmill.redisURL" .)) -}}
{{- $problems = append $problems "redis: set redis.existingSecret, or redis.url, or dev.redis.enabled for a first try" -}}
{{- end -}}
{{- if not (or .Values.store.existingSecret (include "gistmill.storeURL" .)) -}}
{{- $problems = append $problems "store: set store.existingSecret, or store.url, or dev.postgresql.enabled for a first try" -}}
{{- end -}}
{{- with .Values.store.url -}}
{{- if not (regexMatch "^postgres(ql)?://" .) -}}
{{- $problems = append $problems "store.url: the pods share the ledger, so it has to be postgres://…" -}}
{{- end -}}
{{- end -}}
{{- if and (not .Values.llm.existingSecret) (or .Values.llm.fallbackKeysKey .Values.llm.headersKey .Values.llm.asFile) -}}
{{- $problems = append $problems "llm.existingSecret: fallbackKeysKey, headersKey and asFile need the Secret that they are about" -}}
{{- end -}}
{{- with .Values.workers -}}
{{- if eq .mode "scaledjob" -}}
{{- if and (eq .trigger "demand") (not $.Values.server.enabled) -}}
{{- $problems = append $problems "workers.trigger: demand comes from the server: set server.enabled, or workers.trigger to redis" -}}
{{- end -}}
{{- if and (eq .trigger "redis") .fallbackTrigger -}}
{{- $problems = append $problems "workers.fallbackTrigger: works with workers.trigger demand only; with redis there is nothing to fall back from" -}}
{{- end -}}
{{- if and (or (eq .trigger "redis") .fallbackTrigger) (not (include "gistmill.triggerAddress" $)) -}}
{{- $problems = append $problems "redis.trigger.address: KEDA needs host:port of Redis for redis triggers, since it cannot read the URL in the Secret" -}}
{{- end -}}
{{- if lt (include "gistmill.workerDeadlineSeconds" $ | int) 60 -}}
{{- $problems = append $problems (printf "workers.activeDeadlineSeconds: %d s less startMarginSeconds (%d) and the grace (%s) leave a worker less than a minute" (int .activeDeadlineSeconds) (int .startMarginSeconds) (include "gistmill.workerTerminationSeconds" $)) -}}
{{- end -}}
{{- end -}}
{{- with .terminationGracePeriodSeconds -}}
{{- if le (int .) (include "gistmill.graceSeconds" $ | int) -}}
{{- $problems = append $problems (printf "workers.terminationGracePeriodSeconds: %d s is not above shutdown-grace (%s s), so calls in flight would be cut off and paid twice" (int .) (include "gistmill.graceSeconds" $)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.server.enabled .Values.server.auth.enabled (not .Values.server.auth.existingSecret) (not .Values.server.auth.generate) -}}
{{- $problems = append $problems "server.auth: set existingSecret, or generate, or enabled: false to serve every client in the cluster" -}}
{{- end -}}
{{- $names := list -}}
{{- range .Values.schedules -}}
{{- if has .name $names -}}
{{- $problems = append $problems (printf "schedules: the name %s is used twice" .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- $full := printf "%s-enqueue-%s" (include "gistmill.fullname" $) .name -}}
{{- if gt (len $full) 52 -}}
{{- $problems = append $problems (printf "schedules: a CronJob's name has at most 52 characters, and %s has %d: shorten the schedule's name or set fullnameOverride" $full (len $full)) -}}
{{- end -}}
{{- end -}}
{{- if $problems -}}
{{- fail (printf "\n  - %s" (join "\n  - " $problems)) -}}
{{- end -}}
{{- end -}}
