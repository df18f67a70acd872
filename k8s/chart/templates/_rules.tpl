{{/*
The rules as the services read them. `enforcement: audit` has every rule say what it would and refuse nothing:
modes that refuse become audit; what only adds a demand (a rule about labels, annotations or kinds, which may be no
laxer than enforce) is left out.
*/}}
{{- define "imagegate.rules" -}}
{{- $rules := deepCopy .Values.rules -}}
{{- $_ := set $rules "apiVersion" "imagegate.dev/v1" -}}
{{- if eq .Values.enforcement "audit" -}}
{{- $audited := list -}}
{{- range $rule := $rules.rules | default list -}}
{{- $match := $rule.match | default dict -}}
{{- if not (or $match.labels $match.annotations $match.kinds) -}}
{{- if has ($rule.mode | default "enforce") (list "enforce" "deny") -}}
{{- $_ := set $rule "mode" "audit" -}}
{{- end -}}
{{- $audited = append $audited $rule -}}
{{- end -}}
{{- end -}}
{{- if $audited -}}
{{- $_ := set $rules "rules" $audited -}}
{{- else -}}
{{- $_ := unset $rules "rules" -}}
{{- end -}}
{{- $default := $rules.default | default dict -}}
{{- if has ($default.mode | default "enforce") (list "enforce" "deny") -}}
{{- $_ := set $default "mode" "audit" -}}
{{- end -}}
{{- $_ := set $rules "default" $default -}}
{{- end -}}
{{ toYaml $rules }}
{{- end }}
