// coredns is CoreDNS with the few plugins that a cluster without an upstream needs.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/template"
)

// init fixes the order in which a query passes the plugins; it is upstream's order, shortened.
func init() {
	dnsserver.Directives = []string{"bind", "health", "errors", "template", "loadbalance", "kubernetes"}
}

func main() {
	coremain.Run()
}
