{{/* tokenserver.yaml: `config` of the values, with what the chart sets. */}}
{{- define "tokenserver.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $server := dict "listen" (include "tokenserver.listen" (list . .Values.port)) -}}
{{- if .Values.management.enabled -}}
{{- $_ := set $server "management" (include "tokenserver.listen" (list . .Values.management.port)) -}}
{{- end -}}
{{- if .Values.notifications.enabled -}}
{{- $_ := set $server "notifications" (include "tokenserver.listen" (list . .Values.notifications.port)) -}}
{{- end -}}
{{- if .Values.metrics.enabled -}}
{{- $_ := set $server "metrics" (include "tokenserver.listen" (list . .Values.metrics.port)) -}}
{{- end -}}
{{- if include "tokenserver.tlsSecret" . -}}
{{- $_ := set $server "tls" (dict "certificate" "/run/tokenserver/tls/tls.crt" "key" "/run/tokenserver/tls/tls.key") -}}
{{- end -}}
{{- $_ := set $config "server" (merge $server (default dict $config.server)) -}}
{{- $_ := set $config "policies" (include "tokenserver.policiesFolder" .) -}}
{{- $_ := set $config "keys" (merge (dict "folder" "/run/tokenserver/keys") (default dict $config.keys)) -}}
{{- $postgresql := .Values.storage.postgresql -}}
{{- if eq .Values.storage.kind "sqlite" -}}
{{- $_ := set $config "storage" "/var/lib/tokenserver/storage/tokenserver.db" -}}
{{- else if and (eq .Values.storage.kind "postgresql") $postgresql.url -}}
{{- $storage := dict "url" $postgresql.url -}}
{{- if $postgresql.passwordKey -}}
{{- $_ := set $storage "password_file" "/run/tokenserver/storage/password" -}}
{{- end -}}
{{- $_ := set $config "storage" $storage -}}
{{- end -}}
{{- $redis := dict -}}
{{- if .Values.redis.url -}}
{{- $_ := set $redis "redis" .Values.redis.url -}}
{{- end -}}
{{- if and .Values.redis.passwordKey .Values.redis.url -}}
{{- $_ := set $redis "redis_password_file" "/run/tokenserver/redis/password" -}}
{{- end -}}
{{- if .Values.redis.secretKey -}}
{{- $_ := set $redis "secret_file" "/run/tokenserver/redis/secret" -}}
{{- end -}}
{{- if $redis -}}
{{- $_ := set $config "throttle" (merge $redis (default dict $config.throttle)) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{- define "tokenserver.listen" -}}
{{- $root := index . 0 -}}
{{- printf "%s:%d" $root.Values.listenAddress (int (index . 1)) -}}
{{- end -}}

{{- define "tokenserver.policiesFolder" -}}
{{- $folder := "/run/tokenserver/policies" -}}
{{- if .Values.policies.gitSync.repository -}}
{{- $folder = "/run/tokenserver/policies/current" -}}
{{- end -}}
{{- with .Values.policies.path -}}
{{- $folder = printf "%s/%s" $folder . -}}
{{- end -}}
{{- $folder -}}
{{- end -}}

{{/* Variables of the server that the chart sets: the image sets the address, and URLs of Secrets are not in the file. */}}
{{- define "tokenserver.environment" -}}
- name: TOKENSERVER_SERVER_LISTEN
  value: {{ include "tokenserver.listen" (list . .Values.port) | quote }}
{{- with .Values.storage.postgresql }}
{{- if and (eq $.Values.storage.kind "postgresql") .urlKey }}
- name: TOKENSERVER_STORAGE_URL_FILE
  value: /run/tokenserver/storage/url
{{- if .passwordKey }}
- name: TOKENSERVER_STORAGE_PASSWORD_FILE
  value: /run/tokenserver/storage/password
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.redis }}
{{- if .urlKey }}
- name: TOKENSERVER_THROTTLE_REDIS_FILE
  value: /run/tokenserver/redis/url
{{- if .passwordKey }}
- name: TOKENSERVER_THROTTLE_REDIS_PASSWORD_FILE
  value: /run/tokenserver/redis/password
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
