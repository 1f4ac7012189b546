{{/*
A pod of gistmill. A dict of
  root, component, values (of the component), args, restartPolicy, grace (seconds),
and optionally keys (true: it gets the endpoint's), env, ports, probes, mounts, volumes, lifecycle, tolerations,
spread, checksum (true: changed settings start new pods).
*/}}
{{- define "gistmill.podTemplate" -}}
{{- $root := .root -}}
{{- $common := $root.Values -}}
{{- $own := .values -}}
metadata:
  labels:
    {{- include "gistmill.labels" (list $root .component) | nindent 4 }}
    {{- with merge (dict) ($own.podLabels | default dict) ($common.podLabels | default dict) }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- $annotations := merge (dict) ($own.podAnnotations | default dict) ($common.podAnnotations | default dict) }}
  {{- if .checksum }}
  {{- $_ := set $annotations "gistmill.io/settings" (include "gistmill.settingsChecksum" $root) }}
  {{- end }}
  {{- with $annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  restartPolicy: {{ .restartPolicy }}
  terminationGracePeriodSeconds: {{ .grace }}
  serviceAccountName: {{ include "gistmill.serviceAccountName" (list $root .component $own) }}
  automountServiceAccountToken: {{ $own.serviceAccount.automountToken }}
  # Variables with addresses of Services would look like settings.
  enableServiceLinks: false
  {{- with $common.image.pullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: {{ $common.runAs.user | int64 }}
    runAsGroup: {{ $common.runAs.group | int64 }}
    fsGroup: {{ $common.runAs.fsGroup | int64 }}
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  {{- with $own.priorityClassName | default $common.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with merge (dict) ($own.nodeSelector | default dict) ($common.nodeSelector | default dict) }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with concat (.tolerations | default list) ($common.tolerations | default list) ($own.tolerations | default list) }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .spread | default $own.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $common.extraInitContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: gistmill
      image: {{ include "gistmill.image" $root | quote }}
      imagePullPolicy: {{ $common.image.pullPolicy }}
      args:
        {{- toYaml .args | nindent 8 }}
      envFrom:
        - configMapRef: {name: {{ include "gistmill.fullname" $root }}-settings}
        {{- with concat ($common.extraEnvFrom | default list) ($own.extraEnvFrom | default list) }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      env:
        {{- include "gistmill.connectionEnv" $root | nindent 8 }}
        {{- if .keys }}
        {{- with include "gistmill.keyEnv" $root | trim }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- end }}
        {{- with concat (.env | default list) ($common.extraEnv | default list) ($own.extraEnv | default list) }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .ports }}
      ports:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .probes }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
      {{- with .lifecycle }}
      lifecycle:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $own.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- include "gistmill.containerSecurity" $root | nindent 8 }}
      volumeMounts:
        - {name: work, mountPath: /work}
        - {name: tmp, mountPath: /tmp}
        {{- if $common.files }}
        - {name: files, mountPath: /etc/gistmill/files, readOnly: true}
        {{- end }}
        {{- if and .keys $common.llm.asFile $common.llm.existingSecret }}
        - {name: llm, mountPath: /etc/gistmill/llm, readOnly: true}
        {{- end }}
        {{- with concat (.mounts | default list) ($common.extraVolumeMounts | default list) }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: work
      emptyDir: {sizeLimit: {{ $common.scratch.work }}}
    - name: tmp
      emptyDir: {sizeLimit: {{ $common.scratch.tmp }}}
    {{- if $common.files }}
    - name: files
      configMap: {name: {{ include "gistmill.fullname" $root }}-files}
    {{- end }}
    {{- if and .keys $common.llm.asFile $common.llm.existingSecret }}
    - name: llm
      secret:
        secretName: {{ $common.llm.existingSecret }}
        items: [{key: {{ $common.llm.key }}, path: {{ $common.llm.key }}}]
    {{- end }}
    {{- with concat (.volumes | default list) ($common.extraVolumes | default list) }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* The security context that Pod Security `restricted` requires, with a read-only root file system. */}}
{{- define "gistmill.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Evict pods from an unreachable node earlier than after the default of five minutes. */}}
{{- define "gistmill.lostNodeTolerations" -}}
{{- range list "not-ready" "unreachable" }}
- key: node.kubernetes.io/{{ . }}
  operator: Exists
  effect: NoExecute
  tolerationSeconds: {{ $.Values.workers.unreachableSeconds }}
{{- end }}
{{- end -}}

{{/* Spread servers over nodes and zones where possible. */}}
{{- define "gistmill.serverSpread" -}}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "gistmill.selector" (list $ "server") | nindent 6 }}
{{- end }}
{{- end -}}

{{/* The official images can start as these users, without root. */}}
{{- define "gistmill.devPodSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .runAsUser | int64 }}
runAsGroup: {{ .runAsUser | int64 }}
fsGroup: {{ .runAsUser | int64 }}
seccompProfile: {type: RuntimeDefault}
{{- end -}}
