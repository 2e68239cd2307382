# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How each component is built from its published Go modules: packages, tags, version stamps.

The flags follow the publishers' own build scripts, so that a program says the same version and has
the same features as the published one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Step:
    """Programs that are built with the same tags: name of the program -> Go package."""

    packages: dict[str, str]
    tags: tuple[str, ...] = ()


def _no_stamps(version: str) -> list[str]:
    return []  # the version is in the component's source


@dataclass(frozen=True)
class Recipe:
    """A component: the modules that its go.mod requires, and how its programs are built from them."""

    modules: tuple[str, ...]
    steps: tuple[Step, ...]
    ldflags: Callable[[str], list[str]] = _no_stamps
    cgo: bool = False
    libraries: tuple[str, ...] = ()  # Debian packages with the C libraries that cgo links
    buildmode: str = ""
    # Programs that are the tests of their package, built by `go test -c`.
    tests: frozenset[str] = frozenset()
    # For a component that replaces modules by directories of its own repository ("staging"): the
    # published version that stands for those directories.
    staging: Callable[[str], str] | None = None
    # Modules at other versions than the component requires, because those are not available.
    replaced: Mapping[str, str] = field(default_factory=dict)
    # Directories of the (first) module that the publisher's archive holds beside the programs.
    data: tuple[str, ...] = ()
    # A module from before Go had modules has no go.mod, and its version this suffix: the go.mod of its
    # pins, with the versions of its dependencies, is kept by hand.
    suffix: str = ""

    @property
    def programs(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Name of the program -> its package and tags."""
        return {name: (package, step.tags) for step in self.steps for name, package in step.packages.items()}


def _kubernetes_stamps(version: str) -> list[str]:
    major, minor, _patch = version.split(".", 2)
    values = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    return [
        f"-X {package}.{key}={value}"
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
        for key, value in values.items()
    ]


def _staging(version: str) -> str:
    """Kubernetes 1.37.2 goes with k8s.io/api 0.37.2, and so on."""
    return "v0." + version.split(".", 1)[1]


_KUBERNETES_PROGRAMS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubectl",
    "kubelet",
    "kube-proxy",
)
_CONTAINERD = "github.com/containerd/containerd/v2"
_CONTAINERD_TAGS = ("osusergo", "netgo", "static_build", "urfave_cli_no_docs")
_CNI = "github.com/containernetworking/plugins"
_WEAVE = "github.com/weaveworks/weave"
_CNI_PLUGINS = {
    "main": "bridge dummy host-device ipvlan loopback macvlan ptp tap vlan",
    "ipam": "dhcp host-local static",
    "meta": "bandwidth firewall portmap sbr tuning vrf",
}
_FLANNEL = "github.com/flannel-io/flannel"
_KUBE_BENCH = "github.com/aquasecurity/kube-bench"

# By the component's key in the release catalogue.
RECIPES: dict[str, Recipe] = {
    "kubernetes": Recipe(
        modules=("k8s.io/kubernetes",),
        steps=(
            Step(
                {name: f"k8s.io/kubernetes/cmd/{name}" for name in _KUBERNETES_PROGRAMS},
                tags=("selinux", "notest", "grpcnotrace"),
            ),
        ),
        ldflags=_kubernetes_stamps,
        staging=_staging,
    ),
    # The suite, what starts it in parallel, and the programs of its images.
    "conformance": Recipe(
        modules=("k8s.io/kubernetes",),
        steps=(
            Step(
                {
                    "e2e.test": "k8s.io/kubernetes/test/e2e",
                    "ginkgo": "github.com/onsi/ginkgo/v2/ginkgo",
                    "agnhost": "k8s.io/kubernetes/test/images/agnhost",
                    "nnp": "k8s.io/kubernetes/test/images/nonewprivs",
                }
            ),
        ),
        ldflags=_kubernetes_stamps,
        tests=frozenset({"e2e.test"}),
        staging=_staging,
    ),
    "sample_apiserver": Recipe(
        modules=("k8s.io/sample-apiserver",),
        steps=(Step({"sample-apiserver": "k8s.io/sample-apiserver"}),),
    ),
    "etcd": Recipe(
        modules=("go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/etcdctl/v3", "go.etcd.io/etcd/etcdutl/v3"),
        steps=(
            Step(
                {
                    "etcd": "go.etcd.io/etcd/server/v3",
                    "etcdctl": "go.etcd.io/etcd/etcdctl/v3",
                    "etcdutl": "go.etcd.io/etcd/etcdutl/v3",
                }
            ),
        ),
    ),
    "containerd": Recipe(
        modules=(_CONTAINERD,),
        steps=(
            Step({name: f"{_CONTAINERD}/cmd/{name}" for name in ("containerd", "ctr")}, tags=_CONTAINERD_TAGS),
            Step(
                {"containerd-shim-runc-v2": f"{_CONTAINERD}/cmd/containerd-shim-runc-v2"},
                tags=(*_CONTAINERD_TAGS, "no_grpc"),
            ),
        ),
        ldflags=lambda version: [f"-X {_CONTAINERD}/version.Version=v{version}"],
    ),
    "runc": Recipe(
        modules=("github.com/opencontainers/runc",),
        # Without `seccomp` every pod fails with "seccomp not supported".
        steps=(
            Step(
                {"runc": "github.com/opencontainers/runc"},
                tags=("seccomp", "urfave_cli_no_docs", "netgo", "osusergo"),
            ),
        ),
        ldflags=lambda version: ["-linkmode external", "-extldflags -static-pie"],
        cgo=True,
        libraries=("libseccomp-dev",),
        buildmode="pie",
    ),
    "cni_plugins": Recipe(
        modules=(_CNI,),
        steps=(
            Step(
                {
                    name: f"{_CNI}/plugins/{kind}/{name}"
                    for kind, names in _CNI_PLUGINS.items()
                    for name in names.split()
                }
            ),
        ),
        ldflags=lambda version: [f"-X {_CNI}/pkg/utils/buildversion.BuildVersion=v{version}"],
    ),
    "crictl": Recipe(
        modules=("sigs.k8s.io/cri-tools",),
        steps=(Step({"crictl": "sigs.k8s.io/cri-tools/cmd/crictl"}),),
        ldflags=lambda version: [f"-X sigs.k8s.io/cri-tools/pkg/version.Version={version}"],
    ),
    "coredns": Recipe(
        modules=("github.com/coredns/coredns",),
        steps=(Step({"coredns": "github.com/coredns/coredns"}, tags=("grpcnotrace",)),),
    ),
    "flannel": Recipe(
        modules=(_FLANNEL,),
        steps=(Step({"flanneld": _FLANNEL}, tags=("netgo", "osusergo")),),
        ldflags=lambda version: [
            f"-X {_FLANNEL}/pkg/version.Version=v{version}",
            "-linkmode external",
            "-extldflags -static",
        ],
        # Its UDP backend is C.
        cgo=True,
        replaced={
            f"github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/{part}": "v1.0.1000"
            for part in ("common", "vpc")
        },
    ),
    "kube_bench": Recipe(
        modules=(_KUBE_BENCH,),
        steps=(Step({"kube-bench": _KUBE_BENCH}, tags=("osusergo", "netgo", "static_build")),),
        ldflags=lambda version: [f"-X {_KUBE_BENCH}/cmd.KubeBenchVersion={version}"],
        data=("cfg",),
    ),
    "weave": Recipe(
        modules=(_WEAVE,),
        steps=(
            Step(
                {name: f"{_WEAVE}/prog/{name}" for name in ("weaver", "kube-utils", "weaveutil", "weave-npc")},
                tags=("netgo", "osusergo"),
            ),
        ),
        ldflags=lambda version: [f"-X main.version={version}"],
        # weaver captures packets with libpcap; the others come out static all the same.
        cgo=True,
        libraries=("libpcap-dev",),
        suffix="+incompatible",
    ),
}
