module hardway.kubernetes/mirror

go 1.26.0

require (
	github.com/andybalholm/go-bit v1.0.1
	github.com/armon/go-socks5 v0.0.0-20160902184237-e75332964ef5
	github.com/aws/aws-sdk-go v1.34.0
	github.com/boltdb/bolt v1.3.1
	github.com/containernetworking/cni v0.5.2
	github.com/coreos/go-iptables v0.4.5
	github.com/docker/distribution v2.7.1+incompatible
	github.com/docker/docker v20.10.27+incompatible
	github.com/docker/go-connections v0.4.0
	github.com/docker/libnetwork v0.8.0-dev.2.0.20180212220201-119badbd737b
	github.com/fsouza/go-dockerclient v1.6.6
	github.com/google/gopacket v1.1.19
	github.com/gorilla/mux v1.8.0
	github.com/j-keck/arping v0.0.0-20160618110441-2cf9dc699c56
	github.com/mgutz/ansi v0.0.0-20170206155736-9520e82c474b
	github.com/miekg/dns v1.0.4
	github.com/opencontainers/runc v1.0.0-rc91
	github.com/pkg/errors v0.9.1
	github.com/pkg/profile v1.2.1
	github.com/prometheus/client_golang v1.23.2
	github.com/sirupsen/logrus v1.8.1
	github.com/spf13/cobra v0.0.5
	github.com/vishvananda/netlink v1.1.0
	github.com/vishvananda/netns v0.0.0-20210104183010-2eb08e3e575f
	github.com/weaveworks/common v0.0.0-20180321110636-ebab3a78900a
	github.com/weaveworks/go-checkpoint v0.0.0-20170503165305-ebbb8b0518ab
	github.com/weaveworks/go-odp v0.0.0-20181017121109-6b0aa22550d9
	github.com/weaveworks/mesh v0.0.0-20191105120815-58dbcc3e8e63
	github.com/weaveworks/weave v2.6.5+incompatible
	k8s.io/api v0.0.0-20181213150558-05914d821849
	k8s.io/apimachinery v0.0.0-20181127025237-2b1284ed4c93
	k8s.io/client-go v10.0.0+incompatible
)

require (
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/google/btree v1.1.3 // indirect
	github.com/google/gofuzz v1.2.0 // indirect
	github.com/hashicorp/go-cleanhttp v0.5.2 // indirect
	github.com/modern-go/reflect2 v1.0.2 // indirect
	github.com/pborman/uuid v1.2.1 // indirect
	github.com/prometheus/common v0.73.1 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/time v0.16.0 // indirect
	gopkg.in/inf.v0 v0.9.1 // indirect
	k8s.io/klog v1.0.0 // indirect
	sigs.k8s.io/yaml v1.6.0 // indirect
)

require (
	github.com/googleapis/gnostic v0.2.0
	github.com/imdario/mergo v0.3.8
)

require (
	github.com/containerd/containerd v1.4.13
	github.com/gregjones/httpcache v0.0.0-20190611155906-901d90724c79
	github.com/json-iterator/go v1.1.12
	github.com/peterbourgon/diskv v2.0.1+incompatible
)

replace github.com/prometheus/client_golang => github.com/prometheus/client_golang v0.8.0

replace github.com/docker/go-metrics => github.com/docker/go-metrics v0.0.0-20181218153428-b84716841b82

replace github.com/vishvananda/netlink => github.com/vishvananda/netlink v1.0.0
