//go:build tools

// Package kubernetes keeps in go.mod what kube-apiserver and kube-controller-manager are built of.
//
// Kubernetes' own go.mod replaces its staging modules by folders, so that `go install` cannot take
// it; ours replaces each by the published one. The build never tidies: go.mod and go.sum are read
// only (tests/servers/kubernetes_parts.py).
package kubernetes

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver/app"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)
