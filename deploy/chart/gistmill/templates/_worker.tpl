{{/* A worker's pod: list root args env restartPolicy. */}}
{{- define "gistmill.workerTemplate" -}}
{{- $root := index . 0 -}}
{{- $probes := dict -}}
{{- $liveness := $root.Values.workers.livenessProbe -}}
{{- if $liveness.enabled -}}
{{- $probes = dict "livenessProbe" (merge (dict "httpGet" (dict "path" "/healthz" "port" "metrics")) (omit $liveness "enabled")) -}}
{{- end -}}
{{- $env := concat (list (dict "name" "GISTMILL_METRICS_LISTEN" "value" ":9090")) (index . 2) -}}
{{- include "gistmill.podTemplate" (dict
      "root" $root "component" "worker" "values" $root.Values.workers
      "args" (index . 1) "keys" true "env" $env "probes" $probes
      "restartPolicy" (index . 3)
      "ports" (list (dict "name" "metrics" "containerPort" 9090))
      "grace" (include "gistmill.workerTerminationSeconds" $root)
      "tolerations" (include "gistmill.lostNodeTolerations" $root | fromYamlArray)
      "checksum" (eq $root.Values.workers.mode "deployment")
    ) -}}
{{- end -}}
