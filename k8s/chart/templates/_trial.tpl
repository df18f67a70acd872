{{/*
Every password and key of a trial, as JSON: made once, found in the cluster by each upgrade (Secret imagegate-trial).
Random functions give something else each time: what is made here is kept in .Values for the rest of the rendering.
*/}}
{{- define "imagegate.trial" -}}
{{- if not (hasKey .Values.trial "made") -}}
{{- $kept := (lookup "v1" "Secret" .Release.Namespace "imagegate-trial").data | default dict -}}
{{- $made := dict -}}
{{- range list "webhook" "worker" "intake" "console" "operator" -}}
{{- $_ := set $made (printf "redis-%s" .) (randAlphaNum 40) -}}
{{- $_ := set $made (printf "rabbitmq-%s" .) (randAlphaNum 40) -}}
{{- end -}}
{{- range list "anchore-password" "console-token" "events-token" "events-hmac" "events-password" -}}
{{- $_ := set $made . (randAlphaNum 40) -}}
{{- end -}}
{{- range list "worker" "operator" -}}
{{- $keys := include "imagegate.signingKeys" $ | fromJson -}}
{{- $_ := set $made (printf "%s.key" .) $keys.private -}}
{{- $_ := set $made (printf "%s.pub" .) $keys.public -}}
{{- end -}}
{{- range $name, $value := $kept -}}
{{- $_ := set $made $name ($value | b64dec) -}}
{{- end -}}
{{- $_ := set .Values.trial "made" $made -}}
{{- end -}}
{{- .Values.trial.made | toJson -}}
{{- end }}

{{/*
An Ed25519 pair as `imagegate keys new` writes it (docs/design/signatures.md). Sprig makes no public key; a
certificate of the private one has it, behind the twelve bytes that say "Ed25519".
*/}}
{{- define "imagegate.signingKeys" -}}
{{- $private := genPrivateKey "ed25519" -}}
{{- $certificate := (genSelfSignedCertWithKey "signing" nil nil 1 $private).Cert -}}
{{- $der := regexReplaceAll "-----[A-Z ]+-----|\\s" $certificate "" | b64dec -}}
{{- $ed25519 := "\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00" -}}
{{- $raw := index (splitList $ed25519 $der) 1 | substr 0 32 -}}
{{- $public := printf "-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n" (printf "%s%s" $ed25519 $raw | b64enc) -}}
{{- dict "private" $private "public" $public | toJson -}}
{{- end }}

{{- define "imagegate.serverPod" -}}
serviceAccountName: imagegate-{{ .component }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  {{- if not .root.Values.platformUsers }}
  # redis and rabbitmq of the official images.
  runAsUser: 999
  runAsGroup: 999
  fsGroup: 999
  {{- end }}
  seccompProfile: {type: RuntimeDefault}
{{- include "imagegate.pullSecrets" .root }}
{{- end }}

{{- define "imagegate.serverContainer" -}}
resources: {{- toYaml .resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}
