{{/* The pod, whichever kind of thing it belongs to. */}}
{{- define "rhumb.pod" -}}
metadata:
  labels:
    {{- include "rhumb.selector" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: rhumb
    {{- if not .Values.existingConfigMap }}
    # All else in the configuration is taken over while it runs.
    checksum/settings: {{ include "rhumb.settings" . | sha256sum }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with .Values.serviceAccountName }}
  serviceAccountName: {{ . }}
  {{- end }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- if .Values.hostNetwork }}
  hostNetwork: true
  dnsPolicy: ClusterFirstWithHostNet
  {{- end }}
  # The daemon's 10 s for clients, and 5 s to tell and write what is left; and some for a busy node.
  terminationGracePeriodSeconds: {{ add .Values.stopDelay 20 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
    {{- if .Values.icmp }}
    sysctls:
      - name: net.ipv4.ping_group_range
        value: "65532 65532"
    {{- end }}
  containers:
    - name: rhumb
      image: {{ include "rhumb.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [serve, --config, /etc/rhumb/rhumb.toml]
      env:
        # The probes below, and `kubectl exec POD -- rhumb ...`, need no token.
        - name: RHUMB_ADMIN
          value: unix:/run/rhumb/admin.sock
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - name: dns-udp
          containerPort: {{ include "rhumb.dnsPort" . }}
          protocol: UDP
        - name: dns-tcp
          containerPort: {{ include "rhumb.dnsPort" . }}
          protocol: TCP
        {{- if include "rhumb.isExposed" . }}
        - name: admin
          containerPort: {{ .Values.admin.port }}
          protocol: TCP
        {{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
          # Port 53. The image's program has it as a capability of its file, since it does not run as root.
          add: [NET_BIND_SERVICE]
      # Large configurations and databases are read before there is an API.
      startupProbe:
        exec:
          command: [/usr/bin/rhumb, status, --alive]
        periodSeconds: 2
        timeoutSeconds: 6
        failureThreshold: 60
      readinessProbe:
        exec:
          command: [/usr/bin/rhumb, status, --ready]
        periodSeconds: 5
        timeoutSeconds: 6
        failureThreshold: 2
      # What no longer answers at all; it ends by itself when a part of it has failed.
      livenessProbe:
        exec:
          command: [/usr/bin/rhumb, status, --alive]
        periodSeconds: 20
        timeoutSeconds: 6
        failureThreshold: 3
      {{- if .Values.stopDelay }}
      lifecycle:
        preStop:
          sleep:
            seconds: {{ .Values.stopDelay }}
      {{- end }}
      {{- with .Values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        - name: config
          mountPath: /etc/rhumb
          readOnly: true
        - name: state
          mountPath: /var/lib/rhumb
        - name: run
          mountPath: /run/rhumb
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    # All of it changes at once, so that no reload sees a half.
    - name: config
      projected:
        defaultMode: 0440
        sources:
          - configMap:
              name: {{ .Values.existingConfigMap | default (include "rhumb.fullname" .) }}
          - secret:
              name: {{ .Values.cookies.existingSecret | default (printf "%s-cookies" (include "rhumb.fullname" .)) }}
              items:
                - key: cookie.secret
                  path: cookie.secret
          {{- if include "rhumb.isExposed" . }}
          - secret:
              name: {{ .Values.admin.existingSecret | default (printf "%s-tokens" (include "rhumb.fullname" .)) }}
              items:
                - key: tokens
                  path: tokens
          {{- end }}
          {{- with .Values.admin.tlsSecret }}
          - secret:
              name: {{ . }}
              items:
                - key: tls.crt
                  path: tls.crt
                - key: tls.key
                  path: tls.key
          {{- end }}
    - name: run
      emptyDir:
        medium: Memory
        sizeLimit: 1Mi
    {{- if not (and (eq .Values.kind "StatefulSet") .Values.persistence.enabled) }}
    - name: state
      {{- if .Values.persistence.hostPath }}
      hostPath:
        path: {{ .Values.persistence.hostPath }}
        type: Directory
      {{- else }}
      emptyDir: {}
      {{- end }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- if .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml .Values.topologySpreadConstraints | nindent 4 }}
  {{- else if ne .Values.kind "DaemonSet" }}
  topologySpreadConstraints:
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "rhumb.selector" $ | nindent 10 }}
    {{- end }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
