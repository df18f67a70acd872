{{/*
The rules as the services read them. `enforcement: audit` has every rule say what it would and refuse nothing: enforce
becomes audit. Left out is what cannot be laxer: rules of mode deny, which may match by a tag as no others may, and those
that only add a demand (about labels, annotations or kinds). Their images fall under the rules below them.
*/}}
{{- define "imagegate.rules" -}}
{{- $rules := deepCopy .Values.rules -}}
{{- $_ := set $rules "apiVersion" "imagegate.dev/v1" -}}
{{- if eq .Values.enforcement "audit" -}}
{{- $audited := list -}}
{{- range $rule := $rules.rules | default list -}}
{{- $match := $rule.match | default dict -}}
{{- if not (or $match.labels $match.annotations $match.kinds (eq ($rule.mode | default "") "deny")) -}}
{{- if eq ($rule.mode | default "enforce") "enforce" -}}
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
{{- /* Helm lays an operator's default over the chart's: what that asks for goes where nothing is asked. */ -}}
{{- if has (dig "default" "mode" "" $rules) (list "allow" "deny") -}}
{{- $_ := set $rules "default" (omit $rules.default "require" "turnGrace") -}}
{{- end -}}
{{ toYaml $rules }}
{{- end }}
