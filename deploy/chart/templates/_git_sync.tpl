{{/* A container of git-sync: once before the server starts, and then next to it. Takes the root and whether it ends. */}}
{{- define "tokenserver.gitSync" -}}
{{- $root := index . 0 -}}
{{- $once := index . 1 -}}
{{- $git := $root.Values.policies.gitSync -}}
- name: {{ ternary "git-sync-first" "git-sync" $once }}
  image: {{ include "tokenserver.image" (dict "image" $git.image "appVersion" "") | quote }}
  imagePullPolicy: {{ $git.image.pullPolicy }}
  args:
    - --repo={{ $git.repository }}
    - --ref={{ $git.ref }}
    - --depth={{ int $git.depth }}
    - --root=/git
    - --link=current
    {{- if $once }}
    - --one-time
    {{- else }}
    - --period={{ $git.period }}
    - --max-failures=-1
    {{- end }}
    {{- if eq $git.method "ssh" }}
    - --ssh-key-file=/run/git-sync/ssh-privatekey
    - --ssh-known-hosts-file=/run/git-sync/known_hosts
    {{- else if eq $git.method "password" }}
    - --password-file=/run/git-sync/password
    {{- end }}
    {{- with $git.extraArgs }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  env:
    - {name: HOME, value: /tmp}
    {{- if eq $git.method "password" }}
    - name: GITSYNC_USERNAME
      valueFrom: {secretKeyRef: {name: {{ $git.existingSecret | quote }}, key: username}}
    {{- end }}
    {{- with $git.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  securityContext: {{- include "tokenserver.containerSecurity" $root | nindent 4 }}
  resources: {{- toYaml $git.resources | nindent 4 }}
  volumeMounts:
    - {name: policies, mountPath: /git}
    - {name: git-sync-home, mountPath: /tmp}
    {{- if $git.existingSecret }}
    - {name: git-sync-credentials, mountPath: /run/git-sync, readOnly: true}
    {{- end }}
    {{- if eq $git.method "ssh" }}
    - {name: git-sync-passwd, mountPath: /etc/passwd, subPath: passwd, readOnly: true}
    {{- end }}
    {{- with $git.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "tokenserver.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end -}}
