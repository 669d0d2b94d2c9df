// lambent-node is a whole Kubernetes in one file: by its first argument it is etcd, one of the five
// Kubernetes processes, kubectl, or a small provisioner of volumes.
//
// It exists because no package registry ships the Kubernetes programs, while the Go module proxy ships
// their source. Each program is its own upstream command, unchanged; nothing about Lambent lives here.
// How the programs are started and stopped is decided in tests/cluster/local.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	_ "time/tzdata" // CronJobs name time zones; the machine may have no tzdata

	"github.com/spf13/cobra"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // a given kubeconfig may use an auth plugin
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	_ "k8s.io/component-base/logs/json/register"          // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // /metrics of client-go
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

const usage = "usage: lambent-node etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kubelet|kube-proxy|kubectl|volumes [flags]"

// commands are built on demand: building one registers its flags and feature gates in the process.
var commands = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllers.NewControllerManagerCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kubelet":                 func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
	"kube-proxy":              proxy.NewProxyCommand,
}

func main() {
	if filepath.Base(os.Args[0]) == "kubectl" { // by a link: for callers that want kubectl as one path
		runKubectl()
		return
	}
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	name := os.Args[1]
	os.Args = os.Args[1:] // every command reads its own flags from os.Args[1:]
	switch build, known := commands[name]; {
	case known:
		os.Exit(cli.Run(build()))
	case name == "etcd":
		runEtcd()
	case name == "kubectl":
		runKubectl()
	case name == "volumes":
		runVolumes()
	default:
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
}

// runKubectl is k8s.io/kubernetes/cmd/kubectl, which is a main package and cannot be imported.
func runKubectl() {
	logs.GlogSetter(cmd.GetLogVerbosity(os.Args)) //nolint:errcheck // as upstream: a bad -v is reported later
	if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err)
	}
}
