{{/* What all names begin with. 40 characters leave room for the longest suffix. */}}
{{- define "sidekey.prefix" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains "sidekey" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-sidekey" (.Release.Name | trunc 32 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- define "sidekey.name" -}}{{ include "sidekey.prefix" . }}-webhook{{- end -}}

{{- define "sidekey.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "sidekey.name" .) -}}
{{- else -}}
{{- required "serviceAccount.name is needed with serviceAccount.create=false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* What never changes over a release's life. */}}
{{- define "sidekey.selector" -}}
app.kubernetes.io/name: sidekey-webhook
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "sidekey.labels" -}}
{{ include "sidekey.selector" . }}
app.kubernetes.io/part-of: sidekey
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* (list $ MORE…): commonAnnotations and the maps given, or nothing at all. */}}
{{- define "sidekey.annotations" -}}
{{- $all := deepCopy (first .).Values.commonAnnotations -}}
{{- range rest . }}{{ $all = mergeOverwrite $all (deepCopy .) }}{{ end -}}
{{- with $all -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* (list $ IMAGE) */}}
{{- define "sidekey.image" -}}
{{- $root := first . }}{{ $image := last . -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository ($image.tag | default $root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* The switches of the dialects that are served, in CEL: pods of another injector must not depend on this webhook. */}}
{{- define "sidekey.asks" -}}
{{- $dialects := .Values.settings.dialects -}}
{{- $asks := list -}}
{{- range list "sidekey.dev/inject" "vault.hashicorp.com/agent-inject" "openbao.org/agent-inject" -}}
{{- if or (kindIs "invalid" $dialects) (has (dir .) $dialects) -}}
{{- $asks = append $asks (printf "'%s' in object.metadata.annotations" .) -}}
{{- end -}}
{{- end -}}
{{- $asks | join " ||\n" | default "false" -}}
{{- end -}}

{{/* The Secret whose certificate is mounted; empty when the webhook makes its own. */}}
{{- define "sidekey.tlsSecret" -}}
{{- $certificates := .Values.certificates -}}
{{- if and $certificates.certManager.enabled $certificates.existingSecret -}}
{{- fail "certificates.certManager.enabled and certificates.existingSecret exclude each other" -}}
{{- else if $certificates.certManager.enabled -}}
{{- include "sidekey.name" . }}-tls
{{- else -}}
{{- $certificates.existingSecret -}}
{{- end -}}
{{- end -}}

{{/* (list $ MONITOR): what a PodMonitor's and a ServiceMonitor's endpoint share. */}}
{{- define "sidekey.endpoint" -}}
{{- $monitor := last . -}}
port: admin
path: /metrics
interval: {{ $monitor.interval }}
{{- with $monitor.scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- with $monitor.relabelings }}
relabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $monitor.metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The operator's objects. A release that is called as the Vault Secrets Operator's keeps the names that its roles in Vault are
bound to; others are <prefix>-operator. */}}
{{- define "sidekey.operator.name" -}}
{{- if .Values.fullnameOverride -}}
{{- include "sidekey.prefix" . }}-operator
{{- else if contains "vault-secrets-operator" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}-controller-manager
{{- else -}}
{{- include "sidekey.prefix" . }}-operator
{{- end -}}
{{- end -}}

{{- define "sidekey.operator.selector" -}}
app.kubernetes.io/name: sidekey-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "sidekey.operator.labels" -}}
{{ include "sidekey.operator.selector" . }}
app.kubernetes.io/part-of: sidekey
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Where the leader's Lease, the key of digests and the `default` objects are. */}}
{{- define "sidekey.operator.namespace" -}}
{{- .Values.operator.compatNamespace | default .Release.Namespace -}}
{{- end -}}

{{/* (list KEY VALUE…): the pairs whose value is not empty, as lines of YAML. */}}
{{- define "sidekey.pairs" -}}
{{- $out := dict -}}
{{- range $index := untilStep 0 (len .) 2 -}}
{{- $value := index $ (add1 $index | int) -}}
{{- if $value }}{{ $_ := set $out (index $ $index) $value }}{{ end -}}
{{- end -}}
{{- with $out }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{/* (dict of a method as the Vault Secrets Operator's chart writes it): spec fields of a VaultAuth. */}}
{{- define "sidekey.operator.auth" -}}
{{- with .namespace }}
namespace: {{ . }}
{{- end }}
{{- with .allowedNamespaces }}
allowedNamespaces:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .vaultAuthGlobalRef }}
{{- if or .name .allowDefault }}
vaultAuthGlobalRef:
  {{- include "sidekey.pairs" (list "name" .name "namespace" .namespace "allowDefault" .allowDefault "mergeStrategy" .mergeStrategy) | nindent 2 }}
{{- end }}
{{- end }}
method: {{ .method }}
mount: {{ .mount }}
{{- with .headers }}
headers:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .params }}
params:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if eq .method "kubernetes" }}
{{- with .kubernetes }}
kubernetes:
  {{- include "sidekey.pairs" (list "role" .role "serviceAccount" .serviceAccount "audiences" .tokenAudiences "tokenExpirationSeconds" .tokenExpirationSeconds) | nindent 2 }}
{{- end }}
{{- else if eq .method "jwt" }}
{{- with .jwt }}
jwt:
  {{- include "sidekey.pairs" (list "role" .role "secretRef" .secretRef "serviceAccount" .serviceAccount "audiences" .tokenAudiences "tokenExpirationSeconds" .tokenExpirationSeconds) | nindent 2 }}
{{- end }}
{{- else }}
{{- with index . .method }}
{{ $.method }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What the operator is told by its environment; nothing for what is as it is by default. */}}
{{- define "sidekey.operator.env" -}}
{{- $manager := .Values.controller.manager -}}
{{- $backoff := $manager.backoffOnSecretSourceError -}}
{{- $own := .Values.operator -}}
{{- $told := list
  (list "SIDEKEY_METRICS_BIND_ADDRESS" (printf ":%d" (int $own.metricsPort)) ":8080")
  (list "SIDEKEY_HEALTH_PROBE_BIND_ADDRESS" (printf ":%d" (int $own.healthPort)) ":8081")
  (list "VSO_MAX_CONCURRENT_RECONCILES" (toString $manager.maxConcurrentReconciles) "")
  (list "VSO_BACKOFF_INITIAL_INTERVAL" $backoff.initialInterval "5s")
  (list "VSO_BACKOFF_MAX_INTERVAL" $backoff.maxInterval "60s")
  (list "VSO_BACKOFF_MAX_ELAPSED_TIME" $backoff.maxElapsedTime "0s")
  (list "VSO_BACKOFF_RANDOMIZATION_FACTOR" (toString $backoff.randomizationFactor) "0.5")
  (list "VSO_BACKOFF_MULTIPLIER" (toString $backoff.multiplier) "1.5")
  (list "VSO_GLOBAL_TRANSFORMATION_OPTIONS" (ternary "exclude-raw" "" $manager.globalTransformationOptions.excludeRaw) "")
  (list "VSO_GLOBAL_VAULT_AUTH_OPTIONS" (ternary "allow-default-globals" "" $manager.globalVaultAuthOptions.allowDefaultGlobals) "allow-default-globals")
  (list "VSO_CLIENT_CACHE_PERSISTENCE_MODEL" $manager.clientCache.persistenceModel "")
  (list "VSO_CLIENT_CACHE_SIZE" (toString $manager.clientCache.cacheSize) "")
  (list "VSO_CLIENT_CACHE_NUM_LOCKS" (toString $manager.clientCache.numLocks) "")
  (list "SIDEKEY_ALLOW_ADDRESS" (join "," $own.allowAddresses) "")
  (list "SIDEKEY_ONLY_ALLOWED_ADDRESSES" (toString $own.onlyAllowedAddresses) "false")
  (list "SIDEKEY_OPEN_REFERENCES" (toString $own.openReferences) "false")
  (list "SIDEKEY_POLL_METADATA" (toString $own.pollMetadata) "false")
  (list "SIDEKEY_ALLOW_AUTH_METHOD" (join "," $own.allowAuthMethods) "")
  (list "SIDEKEY_WATCH_NAMESPACE" (join "," $own.watchNamespaces) "")
  (list "SIDEKEY_RESTART_DEBOUNCE" $own.restartDebounce "2s")
  (list "SIDEKEY_LOG_LEVEL" $manager.logging.level "info")
  (list "SIDEKEY_LOG_FORMAT" .Values.log.format "json")
-}}
{{- range $told }}
{{- if ne (index . 1) (index . 2) }}
- name: {{ index . 0 }}
  value: {{ index . 1 | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What the operator may do, cluster-wide or in the namespaces it serves. */}}
{{- define "sidekey.operator.rules" -}}
- apiGroups: [secrets.hashicorp.com]
  resources:
    - vaultconnections
    - vaultauths
    - vaultauthglobals
    - vaultstaticsecrets
    - vaultdynamicsecrets
    - vaultpkisecrets
    - secrettransformations
    - hcpauths
    - hcpvaultsecretsapps
    - csisecrets
  verbs: [get, list, watch, patch]
- apiGroups: [secrets.hashicorp.com]
  resources:
    - vaultconnections/status
    - vaultauths/status
    - vaultauthglobals/status
    - vaultstaticsecrets/status
    - vaultdynamicsecrets/status
    - vaultpkisecrets/status
    - secrettransformations/status
    - hcpauths/status
    - hcpvaultsecretsapps/status
    - csisecrets/status
  verbs: [patch]
{{- if not .Values.operator.watchNamespaces }}
- apiGroups: [sidekey.dev]
  resources: [clustervaultconnections, clustervaultauths]
  verbs: [get, list, watch, patch]
- apiGroups: [sidekey.dev]
  resources: [clustervaultconnections/status, clustervaultauths/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list, watch]
{{- end }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, update, delete]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get]
- apiGroups: [""]
  resources: [serviceaccounts/token]
  verbs: [create]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
- apiGroups: [apps]
  resources: [deployments, daemonsets, statefulsets]
  verbs: [list, patch]
- apiGroups: [argoproj.io]
  resources: [rollouts]
  verbs: [list, patch]
{{- end -}}

{{/* Roles for people, added to the cluster's own view, edit and admin, by kind; empty lists add none. */}}
{{- define "sidekey.operator.people" -}}
{{- $root := . -}}
{{- with .Values.controller.rbac.clusterRoleAggregation -}}
{{- range $what, $verbs := dict "viewer" (list "get" "list" "watch") "editor" (list "create" "delete" "get" "list" "patch" "update" "watch") -}}
{{- $kinds := index $root.Values.controller.rbac.clusterRoleAggregation (printf "%sRoles" $what) -}}
{{- if $kinds }}
{{- $plurals := list }}
{{- range $kinds }}{{ $plurals = append $plurals (ternary . (printf "%ss" (lower .)) (eq . "*")) }}{{ end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ include "sidekey.operator.name" $root }}-{{ $what }}
  labels:
    {{- include "sidekey.operator.labels" $root | nindent 4 }}
    {{- if and (eq $what "viewer") $root.Values.controller.rbac.clusterRoleAggregation.userFacingRoles.view }}
    rbac.authorization.k8s.io/aggregate-to-view: "true"
    {{- end }}
    {{- if and (eq $what "editor") $root.Values.controller.rbac.clusterRoleAggregation.userFacingRoles.edit }}
    rbac.authorization.k8s.io/aggregate-to-edit: "true"
    {{- end }}
  {{- with include "sidekey.annotations" (list $root) }}{{ nindent 2 . }}{{ end }}
rules:
  - apiGroups: [secrets.hashicorp.com]
    resources:
      {{- toYaml ($plurals | uniq) | nindent 6 }}
    verbs:
      {{- toYaml $verbs | nindent 6 }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
