{{/* The volumes of the pod. Secrets have mode 0400, of which `fsGroup` makes 0440: the server rejects private files that
others can read. */}}
{{- define "tokenserver.volumes" -}}
- name: config
  configMap: {name: {{ include "tokenserver.fullname" . }}-config}
- name: keys
{{- if .Values.keys.existingClaim }}
  persistentVolumeClaim: {claimName: {{ .Values.keys.existingClaim | quote }}}
{{- else }}
  projected:
    defaultMode: 0400
    sources:
      - secret:
          name: {{ .Values.keys.existingSecret | quote }}
          items:
            - {key: ring.json, path: ring.json}
            - {key: token-ca.pem, path: token-ca.pem}
            {{- range .Values.keys.ids }}
            - {key: {{ printf "%s.pem" . | quote }}, path: {{ printf "signing/%s.pem" . | quote }}}
            - {key: {{ printf "%s.key" . | quote }}, path: {{ printf "signing/%s.key" . | quote }}}
            {{- end }}
      {{- with .Values.stateKey.existingSecret }}
      - secret:
          name: {{ . | quote }}
          items: [{key: {{ $.Values.stateKey.key | quote }}, path: state.key}]
      {{- end }}
{{- end }}
- name: policies
{{- with .Values.policies }}
{{- if include "tokenserver.policiesConfigMap" $ }}
  configMap:
    name: {{ include "tokenserver.policiesConfigMap" $ }}
    {{- if .files }}
    items:
      {{- range $path := keys .files | sortAlpha }}
      - {key: {{ $path | replace "/" "__" | quote }}, path: {{ $path | quote }}}
      {{- end }}
    {{- else if .items }}
    items: {{- toYaml .items | nindent 6 }}
    {{- end }}
{{- else if .gitSync.repository }}
  emptyDir: {}
{{- else if .existingClaim }}
  persistentVolumeClaim: {claimName: {{ .existingClaim | quote }}, readOnly: true}
{{- else if .volume }}
{{- toYaml .volume | nindent 2 }}
{{- end }}
{{- if .gitSync.repository }}
- name: git-sync-home
  emptyDir: {}
{{- if .gitSync.existingSecret }}
- name: git-sync-credentials
  secret: {secretName: {{ .gitSync.existingSecret | quote }}, defaultMode: 0400}
{{- end }}
{{- if eq .gitSync.method "ssh" }}
- name: git-sync-passwd
  configMap: {name: {{ include "tokenserver.fullname" $ }}-git-sync}
{{- end }}
{{- end }}
{{- end }}
{{- with include "tokenserver.tlsSecret" . }}
- name: tls
  secret: {secretName: {{ . | quote }}, defaultMode: 0400}
{{- end }}
{{- with .Values.storage }}
{{- if eq .kind "sqlite" }}
- name: storage
  persistentVolumeClaim: {claimName: {{ default (printf "%s-storage" (include "tokenserver.fullname" $)) .sqlite.existingClaim | quote }}}
{{- else if and (eq .kind "postgresql") .postgresql.existingSecret }}
- name: storage-secret
  secret:
    secretName: {{ .postgresql.existingSecret | quote }}
    defaultMode: 0400
    items:
      {{- with .postgresql.urlKey }}
      - {key: {{ . | quote }}, path: url}
      {{- end }}
      {{- with .postgresql.passwordKey }}
      - {key: {{ . | quote }}, path: password}
      {{- end }}
{{- end }}
{{- end }}
{{- with .Values.redis }}
{{- if .existingSecret }}
- name: redis-secret
  secret:
    secretName: {{ .existingSecret | quote }}
    defaultMode: 0400
    items:
      {{- with .urlKey }}
      - {key: {{ . | quote }}, path: url}
      {{- end }}
      {{- with .passwordKey }}
      - {key: {{ . | quote }}, path: password}
      {{- end }}
      {{- with .secretKey }}
      - {key: {{ . | quote }}, path: secret}
      {{- end }}
{{- end }}
{{- end }}
{{- range $name, $mount := .Values.secretMounts }}
- name: secret-{{ $name }}
  secret:
    secretName: {{ $mount.existingSecret | quote }}
    defaultMode: 0400
    {{- with $mount.items }}
    items: {{- toYaml . | nindent 6 }}
    {{- end }}
{{- end }}
{{- range $name, $mount := .Values.fileMounts }}
- name: file-{{ $name }}
  configMap:
    name: {{ $mount.existingConfigMap | quote }}
    {{- with $mount.items }}
    items: {{- toYaml . | nindent 6 }}
    {{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Where the server sees them. Everything is read-only but a folder of keys that rotate, and the file of the storage. */}}
{{- define "tokenserver.mounts" -}}
- {name: config, mountPath: /etc/tokenserver, readOnly: true}
- {name: keys, mountPath: /run/tokenserver/keys, readOnly: {{ not .Values.keys.existingClaim }}}
- {name: policies, mountPath: /run/tokenserver/policies, readOnly: true}
{{- if include "tokenserver.tlsSecret" . }}
- {name: tls, mountPath: /run/tokenserver/tls, readOnly: true}
{{- end }}
{{- with .Values.storage }}
{{- if eq .kind "sqlite" }}
- {name: storage, mountPath: /var/lib/tokenserver}
{{- else if and (eq .kind "postgresql") .postgresql.existingSecret }}
- {name: storage-secret, mountPath: /run/tokenserver/storage, readOnly: true}
{{- end }}
{{- end }}
{{- if .Values.redis.existingSecret }}
- {name: redis-secret, mountPath: /run/tokenserver/redis, readOnly: true}
{{- end }}
{{- range $name, $mount := .Values.secretMounts }}
- {name: secret-{{ $name }}, mountPath: /run/tokenserver/secrets/{{ $name }}, readOnly: true}
{{- end }}
{{- range $name, $mount := .Values.fileMounts }}
- {name: file-{{ $name }}, mountPath: /run/tokenserver/files/{{ $name }}, readOnly: true}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}
