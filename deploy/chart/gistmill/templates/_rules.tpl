{{/*
files/rules.yaml, where the alert on the last enqueue has the ages of the values: one for sources of schedules that
say maxAgeSeconds, each, and one for all others.
*/}}
{{- define "gistmill.rules" -}}
{{- $rules := .Files.Get "files/rules.yaml" | fromYaml -}}
{{- $own := list -}}
{{- range .Values.schedules -}}
{{- if .maxAgeSeconds -}}
{{- $own = append $own (dict "matcher" (printf "{source=~`%s`}" (include "gistmill.sourcePattern" .source)) "age" .maxAgeSeconds) -}}
{{- end -}}
{{- end -}}
{{- $patterns := list -}}
{{- range .Values.schedules -}}
{{- if .maxAgeSeconds }}{{ $patterns = append $patterns (include "gistmill.sourcePattern" .source) }}{{ end -}}
{{- end -}}
{{- $others := ternary (printf "{source!~`%s`}" (join "|" $patterns)) "" (not (empty $patterns)) -}}
{{- $all := append $own (dict "matcher" $others "age" .Values.monitoring.prometheusRule.enqueueMaxAgeSeconds) -}}
{{- range $group := $rules.groups -}}
{{- $list := list -}}
{{- range $rule := $group.rules -}}
{{- if eq $rule.alert "GistmillEnqueueTooOld" -}}
{{- range $all -}}
{{- $expr := $rule.expr | replace "_seconds)" (printf "_seconds%s)" .matcher) | replace "> 93600" (printf "> %d" (int64 .age)) -}}
{{- $list = append $list (merge (dict "expr" $expr) $rule) -}}
{{- end -}}
{{- else -}}
{{- $list = append $list $rule -}}
{{- end -}}
{{- end -}}
{{- $_ := set $group "rules" $list -}}
{{- end -}}
{{- toYaml $rules -}}
{{- end -}}

{{/* A regular expression for the label of a source: its URL as gistmill writes it, with any query. */}}
{{- define "gistmill.sourcePattern" -}}
{{- if contains "://" . -}}
{{- $url := urlParse . -}}
{{- printf "%s/?([?].*)?" (urlJoin (dict "scheme" $url.scheme "host" $url.host "path" (printf "/%s" (trimAll "/" $url.path))) | trimSuffix "/" | regexQuoteMeta) -}}
{{- else -}}
{{- urlJoin (dict "scheme" "file" "host" "" "path" (clean (ternary . (printf "/work/%s" .) (hasPrefix "/" .)))) | regexQuoteMeta -}}
{{- end -}}
{{- end -}}
