{{/* The name of everything in a release: its own, with the chart's where that says more. */}}
{{- define "keeper.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "keeper.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "keeper.ours" . }}
{{- end -}}

{{- define "keeper.ours" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* What selects the servers, and nothing else of the release. */}}
{{- define "keeper.server" -}}
{{ include "keeper.ours" . }}
app.kubernetes.io/component: server
{{- end -}}

{{- define "keeper.dashboard" -}}
{{ include "keeper.ours" . }}
app.kubernetes.io/component: dashboard
{{- end -}}

{{- define "keeper.image" -}}
{{- $image := .image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default .version $image.tag }}
{{- end -}}
{{- end -}}

{{- define "keeper.serviceAccount" -}}
{{- default (include "keeper.name" .) .Values.serviceAccount.name -}}
{{- end -}}

{{/* Both images run as this user, and write nowhere but to what is mounted. */}}
{{- define "keeper.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
# Mounted secrets are readable by the group.
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "keeper.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* A variable out of the Secret. */}}
{{- define "keeper.fromSecret" -}}
- name: {{ .variable }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret }}
      key: {{ .key }}
{{- end -}}

{{/* What a server and a migration know of the database. */}}
{{- define "keeper.database" -}}
{{- $secret := required "secret.name: name a Secret with the database's address and the pseudonym keys" .Values.secret.name -}}
{{ include "keeper.fromSecret" (dict "variable" "KEEPER_DATABASE_URL" "secret" $secret "key" .Values.secret.databaseUrl) }}
{{ include "keeper.fromSecret" (dict "variable" "KEEPER_PSEUDONYM_KEYS" "secret" $secret "key" .Values.secret.pseudonymKeys) }}
- name: KEEPER_LOG_FORMAT
  value: json
{{- end -}}

{{- define "keeper.settings" -}}
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A NetworkPolicyPeer for every pod of the namespace where none is named. */}}
{{- define "keeper.peers" -}}
{{- if . -}}
{{ toYaml . }}
{{- else -}}
- podSelector: {}
{{- end -}}
{{- end -}}

{{/* The address to listen on, as it stands before a port. */}}
{{- define "keeper.bracketed" -}}
{{- if contains ":" .Values.listenOn -}}[{{ .Values.listenOn }}]{{- else -}}{{ .Values.listenOn }}{{- end -}}
{{- end -}}
