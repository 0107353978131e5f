{{/* The name of all objects. */}}
{{- define "tokenserver.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 45 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 45 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "tokenserver.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tokenserver.labels" -}}
{{ include "tokenserver.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "tokenserver.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "tokenserver.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The Secret of the server's certificate, empty without one. */}}
{{- define "tokenserver.tlsSecret" -}}
{{- if .Values.tls.certManager.enabled -}}
{{- include "tokenserver.fullname" . }}-tls
{{- else -}}
{{- .Values.tls.existingSecret -}}
{{- end -}}
{{- end -}}

{{- define "tokenserver.scheme" -}}
{{- if include "tokenserver.tlsSecret" . -}}HTTPS{{- else -}}HTTP{{- end -}}
{{- end -}}

{{/* The ConfigMap of the policies, empty where they come from elsewhere. */}}
{{- define "tokenserver.policiesConfigMap" -}}
{{- if .Values.policies.files -}}
{{- include "tokenserver.fullname" . }}-policies
{{- else -}}
{{- .Values.policies.existingConfigMap -}}
{{- end -}}
{{- end -}}

{{/* The host of a URL, without its port. */}}
{{- define "tokenserver.host" -}}
{{- (urlParse (default "" .)).hostname -}}
{{- end -}}

{{/* The path of a URL, "/" without one. */}}
{{- define "tokenserver.path" -}}
{{- default "/" (urlParse (default "" .)).path -}}
{{- end -}}

{{- define "tokenserver.image" -}}
{{- $tag := default .appVersion .image.tag -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository $tag -}}
{{- end -}}
{{- end -}}
