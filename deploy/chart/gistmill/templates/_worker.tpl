{{/* A worker's pod: list root args env restartPolicy. */}}
{{- define "gistmill.workerTemplate" -}}
{{- $root := index . 0 -}}
{{- include "gistmill.podTemplate" (dict
      "root" $root "component" "worker" "values" $root.Values.workers
      "args" (index . 1) "keys" true "env" (index . 2)
      "restartPolicy" (index . 3)
      "grace" (include "gistmill.workerTerminationSeconds" $root)
      "tolerations" (include "gistmill.lostNodeTolerations" $root | fromYamlArray)
      "checksum" (eq $root.Values.workers.mode "deployment")
    ) -}}
{{- end -}}
