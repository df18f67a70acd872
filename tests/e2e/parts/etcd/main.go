// Command etcd is etcd: a module of its own, since Kubernetes asks for an older client than this server's.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
