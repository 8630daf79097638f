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
