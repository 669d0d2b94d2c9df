package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// folders provisions a claim as a folder on the node, mounted as a `local` volume: unlike hostPath the
// kubelet then applies the pod's fsGroup, as it does on a cloud's disks, and a chart that forgets its
// fsGroup fails here as it would there. Sizes are not enforced.
type folders struct {
	root string
	node string
}

// runVolumes serves the claims of every StorageClass that names the provisioner, until SIGTERM.
func runVolumes() {
	kubeconfig := flag.String("kubeconfig", "", "how to reach the API server")
	provisioner := flag.String("provisioner", "lambent.dev/folders", "the name that StorageClasses call it by")
	root := flag.String("root", "", "the folder that holds the volumes")
	node := flag.String("node", "", "the node that the folders are on")
	flag.Parse()

	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	// One process on one node: nobody to elect a leader among.
	controller.NewProvisionController(ctx, kubernetes.NewForConfigOrDie(config), *provisioner,
		folders{*root, *node}, controller.LeaderElection(false)).Run(ctx)
}

func (f folders) Provision(_ context.Context, o controller.ProvisionOptions) (
	*core.PersistentVolume, controller.ProvisioningState, error,
) {
	path := filepath.Join(f.root, o.PVName)
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	onThisNode := core.NodeSelectorRequirement{
		Key: core.LabelHostname, Operator: core.NodeSelectorOpIn, Values: []string{f.node},
	}
	return &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: o.PVName},
		Spec: core.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *o.StorageClass.ReclaimPolicy,
			AccessModes:                   o.PVC.Spec.AccessModes,
			Capacity:                      o.PVC.Spec.Resources.Requests,
			PersistentVolumeSource: core.PersistentVolumeSource{
				Local: &core.LocalVolumeSource{Path: path},
			},
			NodeAffinity: &core.VolumeNodeAffinity{Required: &core.NodeSelector{
				NodeSelectorTerms: []core.NodeSelectorTerm{
					{MatchExpressions: []core.NodeSelectorRequirement{onThisNode}},
				},
			}},
		},
	}, controller.ProvisioningFinished, nil
}

func (f folders) Delete(_ context.Context, volume *core.PersistentVolume) error {
	return os.RemoveAll(filepath.Join(f.root, volume.Name))
}
