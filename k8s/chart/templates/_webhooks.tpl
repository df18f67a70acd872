{{/*
What the API server asks imagegate (docs/design/behaviour.md 1), as two YAML documents. caBundle is put in by
`imagegate webhooks apply`, or stands in certificates.caBundle where the chart applies them itself.

Exempt are kube-system, the release's namespace and dependencyNamespaces, by the one label that nobody can
change: what imagegate stands on must be able to start while imagegate is down. Nothing in an exempt namespace
is judged: who may create pods there may run any image.
*/}}
{{- define "imagegate.webhooks" -}}
{{- $pods := ternary "Fail" "Ignore" (eq .Values.enforcement "enforce") -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {{- include "imagegate.webhooksMetadata" (dict "root" . "name" "imagegate") | nindent 2 }}
webhooks:
  # Fail (enforcement: enforce): while no webhook answers, no pod starts outside the exempt namespaces.
  - name: create.imagegate.dev
    {{- include "imagegate.clientConfig" (dict "root" . "path" "/validate") | nindent 4 }}
    rules: {{- include "imagegate.newPods" . | nindent 6 }}
    failurePolicy: {{ $pods }}
    {{- include "imagegate.everyWebhook" . | nindent 4 }}
  # A webhook of its own, since only an update has an oldObject, and request.subResource cannot be
  # asked about here: labels, finalizers and annotations never depend on us.
  - name: update.imagegate.dev
    {{- include "imagegate.clientConfig" (dict "root" . "path" "/validate") | nindent 4 }}
    rules: {{- include "imagegate.changedPods" . | nindent 6 }}
    failurePolicy: {{ $pods }}
    {{- include "imagegate.everyWebhook" . | nindent 4 }}
    matchConditions: {{- include "imagegate.anImageChanged" . | nindent 6 }}
  # Advice: the pods are judged anyway.
  - name: workloads.imagegate.dev
    {{- include "imagegate.clientConfig" (dict "root" . "path" "/validate") | nindent 4 }}
    rules: {{- include "imagegate.workloads" . | nindent 6 }}
    failurePolicy: Ignore
    {{- include "imagegate.everyWebhook" . | nindent 4 }}
    matchConditions: {{- include "imagegate.notOnlyMetadata" . | nindent 6 }}
{{- if ne .Values.webhooks.pin "none" }}
---
# Pins tags to the digests that are judged. Configurations run in the order of their names: the last
# one sees the images that all others have put in. Ignore: what is not pinned is refused by the
# configuration above, which says why (docs/install.md).
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {{- include "imagegate.webhooksMetadata" (dict "root" . "name" "zz-imagegate") | nindent 2 }}
webhooks:
  - name: pin-create.imagegate.dev
    {{- include "imagegate.clientConfig" (dict "root" . "path" "/mutate") | nindent 4 }}
    rules: {{- include "imagegate.newPods" . | nindent 6 }}
    failurePolicy: Ignore
    reinvocationPolicy: IfNeeded
    {{- include "imagegate.everyWebhook" . | nindent 4 }}
  - name: pin-update.imagegate.dev
    {{- include "imagegate.clientConfig" (dict "root" . "path" "/mutate") | nindent 4 }}
    rules: {{- include "imagegate.changedPods" . | nindent 6 }}
    failurePolicy: Ignore
    reinvocationPolicy: IfNeeded
    {{- include "imagegate.everyWebhook" . | nindent 4 }}
    matchConditions: {{- include "imagegate.anImageChanged" . | nindent 6 }}
{{- if eq .Values.webhooks.pin "all" }}
  - name: pin-workloads.imagegate.dev
    {{- include "imagegate.clientConfig" (dict "root" . "path" "/mutate") | nindent 4 }}
    rules: {{- include "imagegate.workloads" . | nindent 6 }}
    failurePolicy: Ignore
    reinvocationPolicy: IfNeeded
    {{- include "imagegate.everyWebhook" . | nindent 4 }}
    matchConditions: {{- include "imagegate.notOnlyMetadata" . | nindent 6 }}
{{- end }}
{{- end }}
{{- end }}

{{- define "imagegate.webhooksMetadata" -}}
name: {{ .name }}
labels: {{- include "imagegate.labels" (dict "root" .root "component" "webhooks") | nindent 2 }}
annotations:
  imagegate.dev/installation: {{ include "imagegate.installation" .root }}
  {{- with .root.Values.webhooks.annotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- if eq .root.Values.certificates.from "cert-manager" }}
  # cert-manager's cainjector keeps caBundle in step, should the CA ever change.
  cert-manager.io/inject-ca-from: {{ .root.Release.Namespace }}/imagegate-webhook
  {{- end }}
{{- end }}

{{- define "imagegate.clientConfig" -}}
clientConfig:
  {{- if .root.Values.webhooks.url }}
  url: {{ printf "%s%s" (trimSuffix "/" .root.Values.webhooks.url) .path | quote }}
  {{- else }}
  service: {namespace: {{ .root.Release.Namespace }}, name: imagegate-webhook, path: {{ .path }}, port: 443}
  {{- end }}
  {{- if and (eq .root.Values.webhooks.apply "direct") .root.Values.certificates.caBundle }}
  caBundle: {{ .root.Values.certificates.caBundle | b64enc }}
  {{- end }}
{{- end }}

{{- define "imagegate.everyWebhook" -}}
matchPolicy: Equivalent
sideEffects: NoneOnDryRun
timeoutSeconds: {{ .Values.webhooks.timeoutSeconds }}
admissionReviewVersions: [v1]
namespaceSelector:
  matchExpressions:
    - {key: kubernetes.io/metadata.name, operator: NotIn, values: {{ include "imagegate.exempt" . }}}
    {{- if .Values.exemptLabel.enabled }}
    - {key: {{ .Values.exemptLabel.key }}, operator: NotIn, values: ["true"]}
    {{- end }}
{{- end }}

{{- define "imagegate.newPods" -}}
- apiGroups: [""]
  apiVersions: [v1]
  resources: [pods]
  operations: [CREATE]
  scope: Namespaced
- apiGroups: [""]
  apiVersions: [v1]
  resources: [pods/ephemeralcontainers]
  operations: [UPDATE]
  scope: Namespaced
{{- end }}

{{- define "imagegate.changedPods" -}}
- apiGroups: [""]
  apiVersions: [v1]
  resources: [pods]
  operations: [UPDATE]
  scope: Namespaced
{{- end }}

{{- define "imagegate.workloads" -}}
- apiGroups: [apps]
  apiVersions: [v1]
  resources: [deployments, replicasets, statefulsets, daemonsets]
  operations: [CREATE, UPDATE]
  scope: Namespaced
- apiGroups: [""]
  apiVersions: [v1]
  resources: [replicationcontrollers, podtemplates]
  operations: [CREATE, UPDATE]
  scope: Namespaced
- apiGroups: [batch]
  apiVersions: [v1]
  resources: [jobs, cronjobs]
  operations: [CREATE, UPDATE]
  scope: Namespaced
{{- end }}

{{- define "imagegate.anImageChanged" -}}
- name: an-image-changed
  expression: |-
    object.spec.containers.map(c, c.name + ' ' + c.?image.orValue(''))
      != oldObject.spec.containers.map(c, c.name + ' ' + c.?image.orValue(''))
    || object.spec.?initContainers.orValue([]).map(c, c.name + ' ' + c.?image.orValue(''))
      != oldObject.spec.?initContainers.orValue([]).map(c, c.name + ' ' + c.?image.orValue(''))
    || object.spec.?volumes.orValue([]).filter(v, has(v.image)).map(v, v.name + ' ' + v.image.?reference.orValue(''))
      != oldObject.spec.?volumes.orValue([]).filter(v, has(v.image)).map(v, v.name + ' ' + v.image.?reference.orValue(''))
{{- end }}

{{- define "imagegate.notOnlyMetadata" -}}
- name: not-only-metadata
  expression: |-
    request.operation == 'CREATE'
    || object.?spec.orValue({}) != oldObject.?spec.orValue({})
    || object.?template.orValue({}) != oldObject.?template.orValue({})
{{- end }}

{{/* A Job that Helm runs and waits for. Arguments: root, name, hook, command. */}}
{{- define "imagegate.webhooksJob" -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: imagegate-webhooks-{{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "imagegate.labels" (dict "root" .root "component" "webhooks") | nindent 4 }}
  annotations:
    helm.sh/hook: {{ .hook }}
    # One that failed stays until the next, for its log.
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec: {{- include "imagegate.webhooksJobSpec" . | nindent 2 }}
{{- end }}

{{- define "imagegate.webhooksJobSpec" -}}
{{- $own := .root.Values.webhooks -}}
backoffLimit: 2
activeDeadlineSeconds: {{ add $own.waitSeconds 30 }}
# What it says itself (2) would be no other the next time; a node that went away is no failure of it.
podFailurePolicy:
  rules:
    - {action: FailJob, onExitCodes: {containerName: webhooks, operator: In, values: [2]}}
    - {action: Ignore, onPodConditions: [{type: DisruptionTarget, status: "True"}]}
template:
  metadata:
    labels: {{- include "imagegate.labels" (dict "root" .root "component" "webhooks") | nindent 6 }}
  spec:
    {{- include "imagegate.pod" (dict "root" .root "component" "webhooks" "own" $own) | nindent 4 }}
    automountServiceAccountToken: true
    restartPolicy: Never
    containers:
      - name: webhooks
        {{- include "imagegate.container" (dict "root" .root "own" $own) | nindent 8 }}
        args:
          - webhooks
          - {{ .command }}
          {{- if ne .command "apply" }}
          - --installation={{ include "imagegate.installation" .root }}
          {{- else }}
          - --file=/etc/imagegate/webhooks/webhooks.yaml
          - --ca=/etc/imagegate/webhook-ca/{{ .root.Values.certificates.caKey }}
          {{- if .root.Values.webhook.enabled }}
          - --deployment={{ .root.Release.Namespace }}/imagegate-webhook
          {{- end }}
          - --within={{ ternary 0 $own.waitSeconds (default false .present) }}
          {{- if .present }}
          - --present
          {{- end }}
          {{- end }}
        volumeMounts:
          - {name: tmp, mountPath: /tmp}
          {{- if eq .command "apply" }}
          - {name: webhooks, mountPath: /etc/imagegate/webhooks, readOnly: true}
          # The certificate of the CA alone, no key.
          - {name: webhook-ca, mountPath: /etc/imagegate/webhook-ca, readOnly: true}
          {{- end }}
    volumes:
      - {name: tmp, emptyDir: {sizeLimit: 16Mi}}
      {{- if eq .command "apply" }}
      - {name: webhooks, configMap: {name: imagegate-webhooks}}
      - name: webhook-ca
        secret:
          secretName: {{ include "imagegate.tlsSecret" .root | quote }}
          defaultMode: 0444
          items: [{key: {{ .root.Values.certificates.caKey }}, path: {{ .root.Values.certificates.caKey }}}]
      {{- end }}
{{- end }}
