{{- define "scaling-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "scaling-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "scaling-operator.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "scaling-operator.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "scaling-operator.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "scaling-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is needed where serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "scaling-operator.selector" -}}
app.kubernetes.io/name: {{ include "scaling-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "scaling-operator.labels" -}}
{{ include "scaling-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "scaling-operator.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end }}

{{- /* The settings as the operator reads them: the values, and what only the release knows. */ -}}
{{- define "scaling-operator.settings" -}}
{{- $settings := deepCopy .Values.settings -}}
{{- $lease := dict "name" (include "scaling-operator.fullname" .) "namespace" .Release.Namespace -}}
{{- range $key, $value := $settings.lease }}{{ if $value }}{{ $_ := set $lease $key $value }}{{ end }}{{ end -}}
{{- $_ := set $settings "lease" $lease -}}
{{- $network := default dict $settings.network -}}
{{- if kindIs "invalid" (get $network "operator") -}}
{{- $namespace := dict "matchLabels" (dict "kubernetes.io/metadata.name" .Release.Namespace) -}}
{{- $pods := dict "matchLabels" (include "scaling-operator.selector" . | fromYaml) -}}
{{- $_ := set $network "operator" (list (dict "namespaceSelector" $namespace "podSelector" $pods)) -}}
{{- end -}}
{{- $_ := set $settings "network" $network -}}
{{- toYaml $settings -}}
{{- end }}

{{- /* What the operator may do with the objects of a namespace that runs experiments. */ -}}
{{- define "scaling-operator.rules" -}}
- apiGroups: [scalinglaws.dev]
  resources: [scalingexperiments]
  verbs: [get, list, watch, delete]
- apiGroups: [scalinglaws.dev]
  resources: [scalingexperiments/status]
  verbs: [patch]
- apiGroups: [scalinglaws.dev]
  resources: [scalingtrials]
  verbs: [get, list, watch, create, patch]
- apiGroups: [ray.io]
  resources: [rayjobs]
  verbs: [get, list, watch, create, delete]
- apiGroups: [ray.io]
  resources: [rayclusters]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [events]
  verbs: [list]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, create]
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create]
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, list, watch, create, patch]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- if .Values.settings.kueue.enabled }}
- apiGroups: [kueue.x-k8s.io]
  resources: [workloads]
  verbs: [get, list, watch]
{{- end }}
{{- if eq .Values.settings.driver.reach "ApiProxy" }}
- apiGroups: [""]
  resources: [services/proxy]
  verbs: [get, update]
{{- end }}
{{- end }}
