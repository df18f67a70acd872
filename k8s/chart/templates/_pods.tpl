{{/* What holds for every pod of ours. Arguments: root, component, own (its part of the values). */}}
{{- define "imagegate.pod" -}}
serviceAccountName: imagegate-{{ .component }}
# Else a Service called imagegate-intake sets IMAGEGATE_INTAKE_PORT, which is a setting.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  {{- if not .root.Values.platformUsers }}
  runAsUser: 65532
  runAsGroup: 65532
  # Whose group the files of Secrets get.
  fsGroup: 65532
  {{- end }}
  seccompProfile: {type: RuntimeDefault}
{{- include "imagegate.pullSecrets" .root }}
{{- with .own.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .own.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .own.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .own.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "imagegate.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{/* One that keeps running: more time to stop than preStop, IMAGEGATE_DRAIN (25 s) and what is cancelled after it. */}}
{{- define "imagegate.service" -}}
{{ include "imagegate.pod" . }}
terminationGracePeriodSeconds: 45
{{- end }}

{{- define "imagegate.container" -}}
image: {{ include "imagegate.image" (dict "root" .root "own" .own.image "suffix" .suffix) | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- with .own.resources }}
resources: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
How many pods where an autoscaler decides: as many as there are, at first its least. Without the field Kubernetes makes one, and
so it does where an upgrade leaves out what Helm has set. What somebody has scaled is Helm 4's no more: left out it stays, named
it would be a conflict with the next who scales. `direct` is for tools that cannot see what is there. Arguments: root, component,
autoscaling.
*/}}
{{- define "imagegate.scaled" -}}
{{- $least := int .autoscaling.minReplicas }}
{{- if gt $least (int .autoscaling.maxReplicas) }}
{{- fail (printf "%s.autoscaling.minReplicas is %d and maxReplicas %d: set a greatest number of pods that is not below the least" .component $least (int .autoscaling.maxReplicas)) }}
{{- end }}
{{- if eq .root.Values.webhooks.apply "job" }}
{{- $live := lookup "apps/v1" "Deployment" .root.Release.Namespace (printf "imagegate-%s" .component) }}
{{- $managers := dict }}
{{- range dig "metadata" "managedFields" list $live }}
{{- $_ := set $managers (dig "subresource" "" . | default .operation) true }}
{{- end }}
{{- if not (and (hasKey $managers "scale") (hasKey $managers "Apply")) }}
replicas: {{ dig "spec" "replicas" $least $live }}
{{- end }}
{{- end }}
{{- end }}

{{- define "imagegate.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: health}
  periodSeconds: 1
  failureThreshold: 60
readinessProbe:
  httpGet: {path: /readyz, port: health}
  periodSeconds: 5
  timeoutSeconds: 4
livenessProbe:
  httpGet: {path: /livez, port: health}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end }}

{{/*
What the chart sets (env, as YAML), and settings of an operator's own, by the names of services/SERVICE/settings.py. The
operator's word goes before the chart's: no name may stand twice, Helm 4 applies no such list.
*/}}
{{- define "imagegate.env" -}}
{{- $settings := .settings | default dict }}
{{- range .env | fromYamlArray }}
{{- if not (hasKey $settings .name) }}
- {name: {{ .name }}, value: {{ .value | quote }}}
{{- end }}
{{- end }}
{{- range $name, $value := $settings }}
- {name: {{ $name }}, value: {{ $value | toString | quote }}}
{{- end }}
{{- end }}

{{/* Redis and RabbitMQ: for whoever uses them. */}}
{{- define "imagegate.serversEnv" -}}
- {name: REDIS_URL_FILE, value: /etc/imagegate/secrets/redis-url}
- {name: AMQP_URL_FILE, value: /etc/imagegate/secrets/amqp-url}
{{- if .Values.redis.caSecret }}
- {name: REDIS_CA, value: /etc/imagegate/redis-ca/ca.crt}
{{- end }}
{{- end }}

{{- define "imagegate.serversMounts" -}}
- {name: secrets, mountPath: /etc/imagegate/secrets, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- if .Values.redis.caSecret }}
- {name: redis-ca, mountPath: /etc/imagegate/redis-ca, readOnly: true}
{{- end }}
{{- if .Values.rabbitmq.caSecret }}
# Where the address itself names it: amqps://...?cafile=/etc/imagegate/rabbitmq-ca/ca.crt
- {name: rabbitmq-ca, mountPath: /etc/imagegate/rabbitmq-ca, readOnly: true}
{{- end }}
{{- end }}

{{/* Arguments: root, secret. */}}
{{- define "imagegate.serversVolumes" -}}
- {name: secrets, secret: {secretName: {{ .secret | quote }}, defaultMode: 0440}}
- {name: tmp, emptyDir: {sizeLimit: 64Mi}}
{{- with .root.Values.redis.caSecret }}
- {name: redis-ca, secret: {secretName: {{ . | quote }}, defaultMode: 0440, items: [{key: ca.crt, path: ca.crt}]}}
{{- end }}
{{- with .root.Values.rabbitmq.caSecret }}
- {name: rabbitmq-ca, secret: {secretName: {{ . | quote }}, defaultMode: 0440, items: [{key: ca.crt, path: ca.crt}]}}
{{- end }}
{{- end }}

{{/* Anchore: for worker and console. Its secret is a key of the service's own Secret. */}}
{{- define "imagegate.anchoreEnv" -}}
{{- $anchore := .Values.anchore }}
- {name: ANCHORE_URL, value: {{ include "imagegate.anchoreUrl" . | quote }}}
{{- if ne $anchore.api "auto" }}
- {name: ANCHORE_API, value: {{ $anchore.api }}}
{{- end }}
{{- if eq $anchore.login "oauth" }}
- {name: ANCHORE_AUTH, value: oauth}
{{- end }}
{{- if has $anchore.login (list "password" "oauth") }}
- {name: ANCHORE_USER, value: {{ $anchore.user | quote }}}
- {name: ANCHORE_PASSWORD_FILE, value: /etc/imagegate/secrets/anchore-password}
{{- else if eq $anchore.login "api-key" }}
- {name: ANCHORE_API_KEY_FILE, value: /etc/imagegate/secrets/anchore-api-key}
{{- else if eq $anchore.login "token" }}
- {name: ANCHORE_TOKEN_FILE, value: /etc/imagegate/secrets/anchore-token}
{{- end }}
{{- if $anchore.caSecret }}
- {name: ANCHORE_CA, value: /etc/imagegate/anchore-ca/ca.crt}
{{- end }}
{{- end }}

{{- define "imagegate.anchoreUrl" -}}
{{- if .Values.scanner.enabled -}}
{{ .Values.anchore.url | default "http://imagegate-scanner:8228" }}
{{- else -}}
{{ required "anchore.url is not set: name your Anchore (for instance http://anchore.anchore.svc:8228), or have the built-in scanner with scanner.enabled=true" .Values.anchore.url }}
{{- end -}}
{{- end }}

{{- define "imagegate.anchoreMounts" -}}
{{- if .Values.anchore.caSecret }}
- {name: anchore-ca, mountPath: /etc/imagegate/anchore-ca, readOnly: true}
{{- end }}
{{- end }}

{{- define "imagegate.anchoreVolumes" -}}
{{- with .Values.anchore.caSecret }}
- {name: anchore-ca, secret: {secretName: {{ . | quote }}, defaultMode: 0440, items: [{key: ca.crt, path: ca.crt}]}}
{{- end }}
{{- end }}

{{/* A changed Secret or ConfigMap that the chart itself makes restarts whoever reads it; rules are followed without. */}}
{{- define "imagegate.podMetadata" -}}
labels:
  {{- include "imagegate.labels" (dict "root" .root "component" .component) | nindent 2 }}
  {{- with .own.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $annotations := .own.podAnnotations | default dict }}
{{- if .root.Values.trial.enabled }}
{{- $annotations = merge (dict "imagegate.dev/secrets" (include "imagegate.trial" .root | sha256sum)) $annotations }}
{{- end }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Nodes first, then zones, where the cluster has any. */}}
{{- define "imagegate.spread" -}}
{{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels: {{- include "imagegate.selector" $.component | nindent 6 }}
{{- end }}
{{- end }}

{{/* A ServiceAccount without a token of its own accord: a pod that needs one asks for it. */}}
{{- define "imagegate.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: imagegate-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "imagegate.labels" (dict "root" .root "component" .component) | nindent 4 }}
  {{- with (.own.serviceAccount | default dict).annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}

{{/* Arguments: root, name (of role and binding), component (whose account). */}}
{{- define "imagegate.clusterRoleBinding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ .name }}
  labels: {{- include "imagegate.labels" (dict "root" .root "component" .component) | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {{ .name }}}
subjects:
  - {kind: ServiceAccount, name: imagegate-{{ .component }}, namespace: {{ .root.Release.Namespace }}}
{{- end }}

{{/* Files that the rules' registries name (docker config.json, CA files), one folder a Secret. */}}
{{- define "imagegate.registriesMounts" -}}
{{- range $name, $secret := .Values.registrySecrets }}
- {name: registry-{{ $name }}, mountPath: /etc/imagegate/registries/{{ $name }}, readOnly: true}
{{- end }}
{{- end }}

{{- define "imagegate.registriesVolumes" -}}
{{- range $name, $secret := .Values.registrySecrets }}
- {name: registry-{{ $name }}, secret: {secretName: {{ $secret | quote }}, defaultMode: 0440}}
{{- end }}
{{- end }}
