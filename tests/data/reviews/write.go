// Writes the reviews beside it, as kube-apiserver's own encoder does: `go run . FOLDER`
// in a module that requires k8s.io/api v0.36.3.
package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"time"

	admission "k8s.io/api/admission/v1"
	apps "k8s.io/api/apps/v1"
	authentication "k8s.io/api/authentication/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const digest = "@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

func main() {
	pod := ordinary()
	write("pod-create", review("Pod", "pods", "CREATE", pod, nil))
	debugged := pod.DeepCopy()
	debugged.Spec.EphemeralContainers = []core.EphemeralContainer{{
		EphemeralContainerCommon: core.EphemeralContainerCommon{Name: "debug", Image: "ghcr.io/team/debug:1"},
		TargetContainerName:      "app",
	}}
	ephemeral := review("Pod", "pods", "UPDATE", debugged, pod)
	ephemeral.Request.SubResource, ephemeral.Request.RequestSubResource = "ephemeralcontainers", "ephemeralcontainers"
	write("pod-ephemeral", ephemeral)
	write("pod-delete", review("Pod", "pods", "DELETE", nil, pod))
	full := &core.Pod{}
	fill(reflect.ValueOf(full).Elem())
	full.TypeMeta = pod.TypeMeta
	every := review("Pod", "pods", "CREATE", full, nil)
	fill(reflect.ValueOf(&every.Request.UserInfo).Elem())
	write("pod-every-field", every)
	deployment := &apps.Deployment{TypeMeta: meta.TypeMeta{Kind: "Deployment", APIVersion: "apps/v1"}, ObjectMeta: meta.ObjectMeta{Name: "app", Namespace: "team"}}
	deployment.Spec.Template = core.PodTemplateSpec{ObjectMeta: meta.ObjectMeta{Labels: map[string]string{"app": "app"}}, Spec: pod.Spec}
	write("deployment-create", review("Deployment", "deployments", "CREATE", deployment, nil))
}

// What a ReplicaSet makes of an ordinary template, once the other admission plugins have seen it.
func ordinary() *core.Pod {
	grace, mode, expiry, yes, no := int64(30), int32(420), int64(3607), true, false
	priority := int32(0)
	always := core.PreemptLowerPriority
	token := "kube-api-access-x7k2p"
	probe := &core.Probe{ProbeHandler: core.ProbeHandler{HTTPGet: &core.HTTPGetAction{Path: "/healthz?a=1&b=2", Port: intstr.FromString("http"), Scheme: core.URISchemeHTTP}}, TimeoutSeconds: 1, PeriodSeconds: 10, SuccessThreshold: 1, FailureThreshold: 3}
	container := func(name, image string) core.Container {
		return core.Container{
			Name: name, Image: image,
			Ports:     []core.ContainerPort{{Name: "http", ContainerPort: 8080, Protocol: core.ProtocolTCP}},
			Env:       []core.EnvVar{{Name: "GREETING", Value: "<hello> & \"image\": bye"}, {Name: "POD_NAME", ValueFrom: &core.EnvVarSource{FieldRef: &core.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.name"}}}},
			Resources: core.ResourceRequirements{Limits: core.ResourceList{"cpu": resource.MustParse("500m"), "memory": resource.MustParse("1Gi")}, Requests: core.ResourceList{"cpu": resource.MustParse("100m")}},
			VolumeMounts: []core.VolumeMount{
				{Name: "config", ReadOnly: true, MountPath: "/etc/app"},
				{Name: token, ReadOnly: true, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount"}},
			LivenessProbe: probe, TerminationMessagePath: "/dev/termination-log", TerminationMessagePolicy: core.TerminationMessageReadFile,
			ImagePullPolicy: core.PullIfNotPresent,
			SecurityContext: &core.SecurityContext{AllowPrivilegeEscalation: &no, RunAsNonRoot: &yes, Capabilities: &core.Capabilities{Drop: []core.Capability{"ALL"}}},
		}
	}
	return &core.Pod{
		TypeMeta: meta.TypeMeta{Kind: "Pod", APIVersion: "v1"},
		ObjectMeta: meta.ObjectMeta{
			Name: "app-7d4b9c6f5d-x2x9z", GenerateName: "app-7d4b9c6f5d-", Namespace: "team",
			UID: "0b5c6e1e-1111-4222-8333-444455556666", CreationTimestamp: meta.NewTime(time.Unix(1767225600, 0)),
			Labels:          map[string]string{"app": "app", "app.kubernetes.io/name": "app", "pod-template-hash": "7d4b9c6f5d"},
			Annotations:     map[string]string{"prometheus.io/scrape": "true", "kubectl.kubernetes.io/last-applied-configuration": "{\"kind\":\"Pod\",\"spec\":{\"containers\":[{\"image\":\"app\",\"name\":\"a<b\"}]}}\n"},
			OwnerReferences: []meta.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "app-7d4b9c6f5d", UID: "705ab4f5-6393-11e8-b7cc-42010a800002", Controller: &yes, BlockOwnerDeletion: &yes}},
			ManagedFields: []meta.ManagedFieldsEntry{{Manager: "kube-controller-manager", Operation: meta.ManagedFieldsOperationUpdate, APIVersion: "v1", Time: &meta.Time{Time: time.Unix(1767225600, 0)}, FieldsType: "FieldsV1",
				FieldsV1: &meta.FieldsV1{Raw: []byte(`{"f:metadata":{"f:generateName":{},"f:labels":{".":{},"f:app":{},"f:pod-template-hash":{}},"f:ownerReferences":{".":{},"k:{\"uid\":\"705ab4f5-6393-11e8-b7cc-42010a800002\"}":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"app\"}":{".":{},"f:env":{".":{},"k:{\"name\":\"GREETING\"}":{".":{},"f:name":{},"f:value":{}}},"f:image":{},"f:imagePullPolicy":{},"f:name":{},"f:resources":{}},"k:{\"name\":\"sidecar\"}":{".":{},"f:image":{},"f:imagePullPolicy":{},"f:name":{}}},"f:dnsPolicy":{},"f:restartPolicy":{},"f:schedulerName":{},"f:securityContext":{},"f:terminationGracePeriodSeconds":{}}}`)}}},
		},
		Spec: core.PodSpec{
			Volumes: []core.Volume{
				{Name: "config", VolumeSource: core.VolumeSource{ConfigMap: &core.ConfigMapVolumeSource{LocalObjectReference: core.LocalObjectReference{Name: "app"}, DefaultMode: &mode}}},
				{Name: token, VolumeSource: core.VolumeSource{Projected: &core.ProjectedVolumeSource{DefaultMode: &mode, Sources: []core.VolumeProjection{
					{ServiceAccountToken: &core.ServiceAccountTokenProjection{ExpirationSeconds: &expiry, Path: "token"}},
					{ConfigMap: &core.ConfigMapProjection{LocalObjectReference: core.LocalObjectReference{Name: "kube-root-ca.crt"}, Items: []core.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}}}}}}}},
			},
			Containers:    []core.Container{container("app", "ghcr.io/team/app:1.0"+digest), container("sidecar", "ghcr.io/team/sidecar:2.0"+digest)},
			RestartPolicy: core.RestartPolicyAlways, TerminationGracePeriodSeconds: &grace, DNSPolicy: core.DNSClusterFirst,
			ServiceAccountName: "default", DeprecatedServiceAccount: "default", SecurityContext: &core.PodSecurityContext{}, SchedulerName: "default-scheduler",
			Tolerations: []core.Toleration{{Key: "node.kubernetes.io/not-ready", Operator: core.TolerationOpExists, Effect: core.TaintEffectNoExecute, TolerationSeconds: &grace}},
			Priority:    &priority, EnableServiceLinks: &yes, PreemptionPolicy: &always,
		},
		Status: core.PodStatus{Phase: core.PodPending, QOSClass: core.PodQOSBurstable},
	}
}

func review(kind, plural, operation string, object, old runtime.Object) *admission.AdmissionReview {
	group := ""
	if kind == "Deployment" {
		group = "apps"
	}
	is, at, no := meta.GroupVersionKind{Group: group, Version: "v1", Kind: kind}, meta.GroupVersionResource{Group: group, Version: "v1", Resource: plural}, false
	request := &admission.AdmissionRequest{
		UID: "705ab4f5-6393-11e8-b7cc-42010a800002", Kind: is, Resource: at, RequestKind: &is, RequestResource: &at,
		Name: "app-7d4b9c6f5d-x2x9z", Namespace: "team", Operation: admission.Operation(operation), DryRun: &no,
		UserInfo: authentication.UserInfo{Username: "system:serviceaccount:kube-system:replicaset-controller", UID: "b3a5f7d0-0000-4000-8000-000000000000",
			Groups: []string{"system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"},
			Extra:  map[string]authentication.ExtraValue{"authentication.kubernetes.io/credential-id": {"JTI=5f3d1e3c-0000-4000-8000-000000000000"}}},
		Object: runtime.RawExtension{Object: object}, OldObject: runtime.RawExtension{Object: old},
		Options: runtime.RawExtension{Raw: []byte(`{"kind":"CreateOptions","apiVersion":"meta.k8s.io/v1"}`)},
	}
	return &admission.AdmissionReview{TypeMeta: meta.TypeMeta{Kind: "AdmissionReview", APIVersion: "admission.k8s.io/v1"}, Request: request}
}

// Give every field a value, and every list and map one item.
func fill(value reflect.Value) {
	switch value.Addr().Interface().(type) {
	case *meta.Time:
		value.Set(reflect.ValueOf(meta.NewTime(time.Unix(1767225600, 0))))
		return
	case *meta.FieldsV1:
		value.Set(reflect.ValueOf(meta.FieldsV1{Raw: []byte(`{"f:spec":{}}`)}))
		return
	case *resource.Quantity:
		value.Set(reflect.ValueOf(resource.MustParse("1")))
		return
	}
	switch value.Kind() {
	case reflect.String:
		value.SetString("x")
	case reflect.Bool:
		value.SetBool(true)
	case reflect.Int32, reflect.Int64, reflect.Int:
		value.SetInt(1)
	case reflect.Uint8:
		value.SetUint(1)
	case reflect.Pointer:
		value.Set(reflect.New(value.Type().Elem()))
		fill(value.Elem())
	case reflect.Slice:
		value.Set(reflect.MakeSlice(value.Type(), 1, 1))
		fill(value.Index(0))
	case reflect.Map:
		item := reflect.New(value.Type().Elem()).Elem()
		fill(item)
		value.Set(reflect.MakeMap(value.Type()))
		value.SetMapIndex(reflect.ValueOf("x").Convert(value.Type().Key()), item)
	case reflect.Struct:
		for at := range value.NumField() {
			fill(value.Field(at))
		}
	}
}

func write(name string, review *admission.AdmissionReview) {
	body := &bytes.Buffer{}
	if err := json.NewEncoder(body).Encode(review); err != nil {
		panic(err)
	}
	if err := os.WriteFile(filepath.Join(os.Args[1], name+".json"), body.Bytes(), 0o644); err != nil {
		panic(err)
	}
}
