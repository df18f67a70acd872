{{/*
One cluster has one imagegate: its webhook configurations are named the same everywhere, so that whoever is
woken at night knows what to delete. Hence no name depends on the release.
*/}}

{{- define "imagegate.labels" -}}
app.kubernetes.io/name: imagegate
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | quote }}
{{- end }}

{{/* What selectors name: never changes. */}}
{{- define "imagegate.selector" -}}
app.kubernetes.io/name: imagegate
app.kubernetes.io/component: {{ . }}
{{- end }}

{{/* Whose the webhook configurations are; `imagegate webhooks` touches no other installation's. */}}
{{- define "imagegate.installation" -}}
{{ .Release.Namespace }}/{{ .Release.Name }}
{{- end }}

{{/* Namespaces whose objects the API server never asks about, as a JSON list. */}}
{{- define "imagegate.exempt" -}}
{{- concat (list "kube-system" .Release.Namespace) .Values.dependencyNamespaces | uniq | toJson -}}
{{- end }}

{{/* Arguments: root, own (a component's part of the values), suffix (of the repository, where the component has an image of its own). */}}
{{- define "imagegate.image" -}}
{{- $image := .root.Values.image -}}
{{- $own := .own | default dict -}}
{{- $suffix := .suffix | default "" -}}
{{- $all := required "image.repository is not set: name the repository that you pushed the image of compose/Dockerfile to, for instance --set image.repository=registry.example.com/imagegate" $image.repository -}}
{{- $repository := $own.repository | default (printf "%s%s" $all $suffix) -}}
{{- $digest := $own.digest | default (ternary $image.digest "" (and (eq $repository $all) (not $own.tag))) -}}
{{- if $digest -}}
{{ $repository }}@{{ $digest }}
{{- else -}}
{{ $repository }}:{{ $own.tag | default $image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* The Secret of a service: brought under the name that values give, or made by the trial. */}}
{{- define "imagegate.tlsSecret" -}}
{{ .Values.certificates.secretName | default "imagegate-webhook-tls" }}
{{- end }}

{{- define "imagegate.webhookHost" -}}
imagegate-webhook.{{ .Release.Namespace }}.svc
{{- end }}

{{/* Whether some rule asks for labels of namespaces, so that webhooks must read them: "yes" or nothing. */}}
{{- define "imagegate.readsNamespaces" -}}
{{- if eq (toString .Values.webhook.readNamespaces) "auto" -}}
{{- if or .Values.rulesConfigMap (contains "\"namespaceLabels\":" (toJson .Values.rules)) -}}yes{{- end -}}
{{- else if .Values.webhook.readNamespaces -}}yes{{- end -}}
{{- end }}

{{/* The host of a URL. Not by urlParse: of what that cannot read it says all, the password too, and nothing is installed. */}}
{{- define "imagegate.hostOf" -}}
{{- $before := regexFind "(?s)^\\s*[a-z]+://(.*@)?" . -}}
{{- if $before -}}
{{ trimPrefix $before . | regexFind "^[a-zA-Z0-9.-]*" | lower }}
{{- end -}}
{{- end }}
