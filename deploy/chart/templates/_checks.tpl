{{/* Every fault of the values that the schema cannot see, in one message. */}}
{{- define "tokenserver.checks" -}}
{{- $faults := list -}}
{{- $config := .Values.config -}}
{{- $server := default dict $config.server -}}
{{- $throttle := default dict $config.throttle -}}
{{- $url := default "" $server.url -}}

{{- /* What is needed. */ -}}
{{- if not .Values.image.repository -}}
{{- $faults = append $faults "image.repository is missing; fix: build deploy/Containerfile, push it, and name it here" -}}
{{- end -}}
{{- range $key := list "issuer" "registries" -}}
{{- if not (get $config $key) -}}
{{- $faults = append $faults (printf "config.%s is missing; fix: set it as in tokenserver.yaml" $key) -}}
{{- end -}}
{{- end -}}
{{- if not $url -}}
{{- $faults = append $faults "config.server.url is missing; fix: set the URL by which clients reach the server" -}}
{{- end -}}

{{- /* What the chart sets. */ -}}
{{- range $key, $fix := dict "listen" "set `port` and `listenAddress`" "metrics" "set `metrics.enabled` and `metrics.port`" "management" "set `management.enabled` and `management.port`" "notifications" "set `notifications.enabled` and `notifications.port`" "tls" "set `tls.existingSecret` or `tls.certManager`" -}}
{{- if hasKey $server $key -}}
{{- $faults = append $faults (printf "config.server.%s is set by the chart; fix: remove it, and %s" $key $fix) -}}
{{- end -}}
{{- end -}}
{{- range $key, $fix := dict "policies" "set `policies` of the values" "storage" "set `storage` of the values" -}}
{{- if hasKey $config $key -}}
{{- $faults = append $faults (printf "config.%s is set by the chart; fix: remove it, and %s" $key $fix) -}}
{{- end -}}
{{- end -}}
{{- $keys := default dict $config.keys -}}
{{- if not (kindIs "map" $keys) -}}
{{- $faults = append $faults "config.keys is a folder, which is set by the chart; fix: remove it, and set `keys` of the values" -}}
{{- else if hasKey $keys "folder" -}}
{{- $faults = append $faults "config.keys.folder is set by the chart; fix: remove it, and set `keys` of the values" -}}
{{- else if and $keys.rotate_every (not .Values.keys.existingClaim) -}}
{{- $faults = append $faults "config.keys.rotate_every needs a folder that the server may write to; fix: set keys.existingClaim, or rotate by hand" -}}
{{- end -}}
{{- range $key := list "redis" "redis_password_file" -}}
{{- if and (hasKey $throttle $key) (or $.Values.redis.url $.Values.redis.urlKey) -}}
{{- $faults = append $faults (printf "config.throttle.%s is set by the chart; fix: remove it, or `redis` of the values" $key) -}}
{{- end -}}
{{- end -}}
{{- if and (hasKey $throttle "secret_file") .Values.redis.secretKey -}}
{{- $faults = append $faults "config.throttle.secret_file is set by the chart; fix: remove it, or redis.secretKey" -}}
{{- end -}}
{{- $owned := list "TOKENSERVER_CONFIG" "TOKENSERVER_SERVER_LISTEN" "TOKENSERVER_SERVER_METRICS" "TOKENSERVER_SERVER_MANAGEMENT" "TOKENSERVER_SERVER_NOTIFICATIONS" "TOKENSERVER_SERVER_TLS" "TOKENSERVER_SERVER_TLS_CERTIFICATE" "TOKENSERVER_SERVER_TLS_KEY" "TOKENSERVER_POLICIES" "TOKENSERVER_KEYS" "TOKENSERVER_KEYS_FOLDER" "TOKENSERVER_STORAGE" "TOKENSERVER_STORAGE_URL" "TOKENSERVER_STORAGE_PASSWORD_FILE" -}}
{{- range .Values.extraEnv -}}
{{- if has (trimSuffix "_FILE" .name) (concat $owned (list "TOKENSERVER_STORAGE_PASSWORD")) -}}
{{- $faults = append $faults (printf "extraEnv: %s is set by the chart; fix: remove it, and use the value for it" .name) -}}
{{- end -}}
{{- end -}}

{{- /* Where files come from. */ -}}
{{- if and .Values.keys.existingSecret .Values.keys.existingClaim -}}
{{- $faults = append $faults "keys has existingSecret and existingClaim; fix: keep one" -}}
{{- else if not (or .Values.keys.existingSecret .Values.keys.existingClaim) -}}
{{- $faults = append $faults "keys.existingSecret is missing; fix: make the Secret by docs/kubernetes.md, or name a volume by keys.existingClaim" -}}
{{- else if and .Values.keys.existingSecret (not .Values.keys.ids) -}}
{{- $faults = append $faults "keys.ids is missing; fix: list the names of the files in signing/, without .key" -}}
{{- else if and .Values.keys.existingClaim .Values.stateKey.existingSecret -}}
{{- $faults = append $faults "stateKey is for keys of a Secret; fix: put state.key into the volume of keys.existingClaim" -}}
{{- end -}}
{{- $policies := .Values.policies -}}
{{- $sources := list -}}
{{- range $name, $is := dict "files" $policies.files "existingConfigMap" $policies.existingConfigMap "gitSync.repository" $policies.gitSync.repository "existingClaim" $policies.existingClaim "volume" $policies.volume -}}
{{- if $is -}}
{{- $sources = append $sources $name -}}
{{- end -}}
{{- end -}}
{{- if not $sources -}}
{{- $faults = append $faults "policies has no source; fix: set one of files, existingConfigMap, gitSync.repository, existingClaim and volume" -}}
{{- else if gt (len $sources) 1 -}}
{{- $faults = append $faults (printf "policies has more than one source (%s); fix: keep one" (sortAlpha $sources | join ", ")) -}}
{{- end -}}
{{- $names := list -}}
{{- range $path := keys $policies.files -}}
{{- $names = append $names ($path | replace "/" "__") -}}
{{- end -}}
{{- if ne (len $names) (len (uniq $names)) -}}
{{- $faults = append $faults "policies.files has two paths that become one key of a ConfigMap, in which / is __; fix: rename one" -}}
{{- end -}}
{{- range $key, $secret := dict "storage.postgresql.url" .Values.storage.postgresql.url "redis.url" .Values.redis.url -}}
{{- if regexMatch "^[^/]*//[^/@]*:[^/]*@" $secret -}}
{{- $faults = append $faults (printf "%s has a password, which everybody could read in the ConfigMap; fix: put it into the Secret, and set passwordKey" $key) -}}
{{- end -}}
{{- end -}}
{{- if and (ne $policies.gitSync.method "none") (not $policies.gitSync.existingSecret) -}}
{{- $faults = append $faults (printf "policies.gitSync.method is %s, which needs credentials; fix: set policies.gitSync.existingSecret" $policies.gitSync.method) -}}
{{- else if and (eq $policies.gitSync.method "none") $policies.gitSync.existingSecret -}}
{{- $faults = append $faults "policies.gitSync.existingSecret is not used by method none; fix: set policies.gitSync.method to ssh or password" -}}
{{- end -}}
{{- if and (eq $policies.gitSync.method "ssh") (not .Values.runAsUser) -}}
{{- $faults = append $faults "policies.gitSync.method is ssh, which needs the number of its user; fix: set runAsUser, or use https" -}}
{{- end -}}
{{- range $path := keys $policies.files -}}
{{- if contains "__" $path -}}
{{- $faults = append $faults (printf "policies.files: the name %s has __, which stands for / in the ConfigMap; fix: rename it" $path) -}}
{{- end -}}
{{- end -}}

{{- /* The storage and Redis. */ -}}
{{- $storage := .Values.storage -}}
{{- if and (eq $storage.kind "sqlite") (or (gt (int .Values.replicas) 1) .Values.autoscaling.enabled) -}}
{{- $faults = append $faults "storage.kind is sqlite, which is for one replica; fix: set replicas to 1 and autoscaling.enabled to false, or use postgresql" -}}
{{- end -}}
{{- if eq $storage.kind "postgresql" -}}
{{- if and $storage.postgresql.url $storage.postgresql.urlKey -}}
{{- $faults = append $faults "storage.postgresql has url and urlKey; fix: keep one" -}}
{{- else if not (or $storage.postgresql.url $storage.postgresql.urlKey) -}}
{{- $faults = append $faults "storage.postgresql.url is missing; fix: set it, or existingSecret and urlKey" -}}
{{- end -}}
{{- if and (or $storage.postgresql.urlKey $storage.postgresql.passwordKey) (not $storage.postgresql.existingSecret) -}}
{{- $faults = append $faults "storage.postgresql.existingSecret is missing; fix: name the Secret that has urlKey and passwordKey" -}}
{{- else if and $storage.postgresql.existingSecret (not (or $storage.postgresql.urlKey $storage.postgresql.passwordKey)) -}}
{{- $faults = append $faults "storage.postgresql.existingSecret is not used; fix: set urlKey or passwordKey" -}}
{{- end -}}
{{- end -}}
{{- if and (ne $storage.kind "none") .Values.keys.existingSecret (not .Values.stateKey.existingSecret) -}}
{{- $faults = append $faults "stateKey.existingSecret is missing, without which the storage cannot be read; fix: name a Secret with state.key" -}}
{{- end -}}
{{- if eq $storage.kind "none" -}}
{{- range $key := list "access_keys" "refresh_tokens" -}}
{{- if hasKey $config $key -}}
{{- $faults = append $faults (printf "config.%s needs a storage; fix: set storage.kind" $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $redis := .Values.redis -}}
{{- if and $redis.url $redis.urlKey -}}
{{- $faults = append $faults "redis has url and urlKey; fix: keep one" -}}
{{- else if and $redis.passwordKey (not (or $redis.url $redis.urlKey)) -}}
{{- $faults = append $faults "redis.url is missing; fix: set it, or existingSecret and urlKey" -}}
{{- end -}}
{{- if and (or $redis.urlKey $redis.passwordKey $redis.secretKey) (not $redis.existingSecret) -}}
{{- $faults = append $faults "redis.existingSecret is missing; fix: name the Secret that has urlKey, passwordKey or secretKey" -}}
{{- else if and $redis.existingSecret (not (or $redis.urlKey $redis.passwordKey $redis.secretKey)) -}}
{{- $faults = append $faults "redis.existingSecret is not used; fix: set urlKey, passwordKey or secretKey" -}}
{{- end -}}

{{- /* How clients reach it. */ -}}
{{- if and .Values.tls.existingSecret .Values.tls.certManager.enabled -}}
{{- $faults = append $faults "tls has existingSecret and certManager; fix: keep one" -}}
{{- end -}}
{{- if and .Values.tls.certManager.enabled (not .Values.tls.certManager.issuerRef.name) -}}
{{- $faults = append $faults "tls.certManager.issuerRef is missing; fix: set name and kind of the Issuer" -}}
{{- end -}}
{{- if .Values.management.enabled -}}
{{- if eq $storage.kind "none" -}}
{{- $faults = append $faults "management.enabled needs a storage; fix: set storage.kind" -}}
{{- end -}}
{{- if not $server.management_url -}}
{{- $faults = append $faults "config.server.management_url is missing; fix: set the URL by which browsers reach the listener" -}}
{{- end -}}
{{- else if or .Values.management.ingress.enabled .Values.management.httpRoute.enabled -}}
{{- $faults = append $faults "management has an ingress or a route, but is not enabled; fix: set management.enabled" -}}
{{- else if $server.management_url -}}
{{- $faults = append $faults "config.server.management_url is the URL of a listener that is not enabled; fix: set management.enabled" -}}
{{- end -}}
{{- range $name, $route := dict "httpRoute" .Values.httpRoute "management.httpRoute" .Values.management.httpRoute -}}
{{- if and $route.enabled (not $route.parentRefs) -}}
{{- $faults = append $faults (printf "%s.parentRefs is missing; fix: name the Gateway" $name) -}}
{{- end -}}
{{- end -}}
{{- if not .Values.metrics.enabled -}}
{{- range $name := list "serviceMonitor" "prometheusRule" "dashboard" -}}
{{- if (get $.Values.metrics $name).enabled -}}
{{- $faults = append $faults (printf "metrics.%s needs the listener; fix: set metrics.enabled" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $ports := list (int .Values.port) -}}
{{- range $listener := list .Values.management .Values.notifications .Values.metrics -}}
{{- if $listener.enabled -}}
{{- $ports = append $ports (int $listener.port) -}}
{{- end -}}
{{- end -}}
{{- if ne (len $ports) (len (uniq $ports)) -}}
{{- $faults = append $faults "port, management.port, notifications.port and metrics.port must differ; fix: change one" -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) -}}
{{- $faults = append $faults "autoscaling.minReplicas is more than maxReplicas; fix: change one" -}}
{{- end -}}
{{- if le (int .Values.terminationGracePeriodSeconds) (int (add .Values.drainSeconds 21)) -}}
{{- $faults = append $faults (printf "terminationGracePeriodSeconds is too short for drainSeconds and the 21 s in which requests are completed; fix: set at least %d" (int (add .Values.drainSeconds 22))) -}}
{{- end -}}

{{- if $faults -}}
{{- fail (printf "\n\ntokenserver: %d faults in the values:\n  * %s\n" (len $faults) (join "\n  * " $faults)) -}}
{{- end -}}
{{- end -}}
