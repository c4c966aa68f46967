{{- define "rhumb.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Short enough for the suffixes of its parts. */}}
{{- define "rhumb.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "rhumb.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "rhumb.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "rhumb.selector" -}}
app.kubernetes.io/name: {{ include "rhumb.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "rhumb.labels" -}}
{{ include "rhumb.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "rhumb.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* Not empty: the API is served on the pod's addresses. */}}
{{- define "rhumb.isExposed" -}}
{{- if or .Values.admin.tokens .Values.admin.existingSecret }}yes{{ end }}
{{- end }}

{{- define "rhumb.dnsPort" -}}
{{- first .Values.server.listen | splitList ":" | last }}
{{- end }}

{{/* What is read at the start alone, in TOML: a change of it is a change of the pods. It ends in [log]. */}}
{{- define "rhumb.settings" -}}
[server]
listen = {{ .Values.server.listen | toJson }}
state_dir = "/var/lib/rhumb"
cookie_secret_file = "cookie.secret"
{{- with .Values.server.extra }}
{{ . | trim }}
{{- end }}

[admin]
{{- if include "rhumb.isExposed" . }}
listen = "{{ if contains "[" (first .Values.server.listen) }}[::]{{ else }}0.0.0.0{{ end }}:{{ .Values.admin.port }}"
token_file = "tokens"
{{- if .Values.admin.tlsSecret }}
tls = { certificate = "tls.crt", key = "tls.key" }
{{- end }}
{{- else }}
listen = "127.0.0.1:{{ .Values.admin.port }}"
{{- end }}
socket = { path = "/run/rhumb/admin.sock", role = "{{ .Values.admin.socketRole }}" }

[log]
format = "{{ .Values.log.format }}"
{{- end }}

{{/* What would only be found out in the cluster. */}}
{{- define "rhumb.checked" -}}
{{- if and (not .Values.config) (not .Values.existingConfigMap) }}
{{- fail "config: say which zones there are, or name an existingConfigMap" }}
{{- end }}
{{- if regexMatch "(?m)^[ \\t]*(\\[[ \\t]*)?(server|admin|log)[ \\t]*[].=]" .Values.config }}
{{- fail "config: [server], [admin] and [log] are made of the values `server`, `admin` and `log`" }}
{{- end }}
{{- if and .Values.icmp .Values.hostNetwork }}
{{- fail "icmp: with hostNetwork, set net.ipv4.ping_group_range on the nodes" }}
{{- end }}
{{- if and .Values.hostNetwork (not (include "rhumb.isExposed" .)) }}
{{- fail "hostNetwork: inside the pod is the node then, where anybody could do everything: give admin.tokens or admin.existingSecret" }}
{{- end }}
{{- if and .Values.persistence.hostPath (ne .Values.kind "DaemonSet") }}
{{- fail "persistence.hostPath: two pods on one node would share it; it is for a DaemonSet" }}
{{- end }}
{{- if and .Values.service.perReplica (ne .Values.kind "StatefulSet") }}
{{- fail "service.perReplica: only the replicas of a StatefulSet have names" }}
{{- end }}
{{- if and .Values.metrics.serviceMonitor.enabled (not (include "rhumb.isExposed" .)) }}
{{- fail "metrics.serviceMonitor: it needs a token in admin.tokens or admin.existingSecret" }}
{{- end }}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.serviceMonitor.tokenSecret.name) }}
{{- fail "metrics.serviceMonitor.tokenSecret.name: say where the token is that Prometheus shows" }}
{{- end }}
{{- end }}
