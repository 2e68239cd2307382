#!/usr/bin/env bash
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The article by hand: what a plain shell script needs from six fresh lab hosts to a cluster whose
# nodes are Ready and whose DNS is rolled out. The yardstick for site.yml, and nothing more: it checks
# no checksum, compares no state and can run but once. Hosts work in parallel; programs and images come
# from a mirror on this machine.
#
#   usage: article.sh            PREFIX (of the containers' names), HARDWAY_MIRROR, WORK and the versions below
#                                come from the environment
#
# Prints "STEP SECONDS" lines: pki, nodes_ready, dns.
set -euo pipefail

prefix=${PREFIX:-hardway-}
mirror=${HARDWAY_MIRROR:-$(python3 "$(dirname "${BASH_SOURCE[0]}")/../../lab/cache.py" mirror)}
: "${KUBERNETES:=1.37.2}" "${ETCD:=3.7.3}" "${CONTAINERD:=2.4.2}" "${RUNC:=1.5.2}" "${CNI_PLUGINS:=1.9.1}"
: "${CRICTL:=1.36.0}" "${COREDNS:=1.15.0}" "${PAUSE:=3.10.2}" "${ARCH:=amd64}"

controllers=(ctl01 ctl02)
workers=(wrk01 wrk02)
balancer=kubelb
client=client
domain=cluster.local
begun=${EPOCHREALTIME//[!0-9]/}
work=${WORK:-$(mktemp -d)}
trap '[ -n "${WORK:-}" ] || rm -rf "$work"' EXIT
mkdir -p "$work"
cd "$work"
umask 077

say() { # STEP
  local hundredths=$(((${EPOCHREALTIME//[!0-9]/} - begun) / 10000))
  printf '%s %d.%02d\n' "$1" $((hundredths / 100)) $((hundredths % 100))
}

all() { # waits for every background job, and fails when one did
  local job failed=0
  for job in $(jobs -p); do wait "$job" || failed=1; done
  return $failed
}

on() { # HOST COMMAND...
  local host=$1
  shift
  docker exec -i "$prefix$host" "$@"
}

address() { # HOST
  docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$prefix$1"
}

declare -A ip
for host in "${controllers[@]}" "$balancer" "${workers[@]}" "$client"; do ip[$host]=$(address "$host"); done

# --- Certificates, as in the article: one CA, one certificate per program and per worker. ---

subject() { echo "/C=US/ST=Oregon/L=Portland/O=$2/OU=Kubernetes The Hard Way/CN=$1"; }

issue() { # NAME COMMON_NAME ORGANISATION [SANS] [CA]
  local name=$1 ca=${5:-ca}
  openssl req -new -newkey rsa:2048 -nodes -keyout "$name-key.pem" -out "$name.csr" -subj "$(subject "$2" "$3")" 2>/dev/null
  openssl x509 -req -in "$name.csr" -CA "$ca.pem" -CAkey "$ca-key.pem" -days 365 -out "$name.pem" \
    -set_serial "0x$(openssl rand -hex 16)" -extfile <(
      echo basicConstraints=critical,CA:FALSE
      echo keyUsage=critical,digitalSignature,keyEncipherment
      echo extendedKeyUsage=serverAuth,clientAuth
      [ -z "${4:-}" ] || echo "subjectAltName=$4"
    ) 2>/dev/null
}

authority() { # NAME COMMON_NAME
  openssl req -x509 -new -newkey rsa:2048 -nodes -keyout "$1-key.pem" -out "$1.pem" -days 1825 -subj "$(subject "$2" Kubernetes)" \
    -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
}

authority ca Kubernetes &
authority front-proxy-ca "Kubernetes Front Proxy" &
all

sans="DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.$domain"
sans+=",IP:127.0.0.1,IP:10.32.0.1"
for host in "${controllers[@]}" "$balancer"; do sans+=",DNS:$host,IP:${ip[$host]}"; done

issue admin admin system:masters &
issue kube-controller-manager system:kube-controller-manager system:kube-controller-manager &
issue kube-scheduler system:kube-scheduler system:kube-scheduler &
issue kube-proxy system:kube-proxy system:node-proxier &
issue kubernetes kubernetes Kubernetes "$sans" &
issue service-account service-accounts Kubernetes &
issue front-proxy-client front-proxy-client Kubernetes "" front-proxy-ca &
for host in "${workers[@]}"; do issue "$host" "system:node:$host" system:nodes "DNS:$host,IP:${ip[$host]}" & done
all

kubeconfig() { # FILE USER CERTIFICATE SERVER
  cat >"$1.kubeconfig" <<END
apiVersion: v1
kind: Config
clusters:
  - name: kubernetes-the-hard-way
    cluster:
      server: $4
      certificate-authority-data: $(base64 -w0 ca.pem)
users:
  - name: $2
    user:
      client-certificate-data: $(base64 -w0 "$3.pem")
      client-key-data: $(base64 -w0 "$3-key.pem")
contexts:
  - name: default
    context: {cluster: kubernetes-the-hard-way, user: "$2"}
current-context: default
END
}

shared="https://${ip[$balancer]}:6443"
for name in admin kube-controller-manager kube-scheduler; do kubeconfig $name "system:$name" $name https://127.0.0.1:6443; done
kubeconfig kube-proxy system:kube-proxy kube-proxy "$shared"
kubeconfig remote-admin admin admin "$shared"
for host in "${workers[@]}"; do kubeconfig "$host" "system:node:$host" "$host" "$shared"; done

cat >encryption-config.yaml <<END
kind: EncryptionConfiguration
apiVersion: apiserver.config.k8s.io/v1
resources:
  - resources: [secrets]
    providers:
      - aescbc: {keys: [{name: key1, secret: $(head -c 32 /dev/urandom | base64)}]}
      - identity: {}
END
say pki

# --- Programs, where the mirror has them. A host that has the mirror mounted copies from there. ---

kubernetes=dl.k8s.io/release/v$KUBERNETES/bin/linux/$ARCH
github=github.com
etcd=$github/etcd-io/etcd/releases/download/v$ETCD/etcd-v$ETCD-linux-$ARCH.tar.gz
containerd=$github/containerd/containerd/releases/download/v$CONTAINERD/containerd-$CONTAINERD-linux-$ARCH.tar.gz
runc=$github/opencontainers/runc/releases/download/v$RUNC/runc.$ARCH
crictl=$github/kubernetes-sigs/cri-tools/releases/download/v$CRICTL/crictl-v$CRICTL-linux-$ARCH.tar.gz
cni=$github/containernetworking/plugins/releases/download/v$CNI_PLUGINS/cni-plugins-linux-$ARCH-v$CNI_PLUGINS.tgz

mounted=$(docker inspect --format "{{range .Mounts}}{{if eq .Source \"$(readlink -f "$mirror")\"}}{{.Destination}}{{end}}{{end}}" "$prefix${controllers[0]}")

program() { # HOST ARTIFACT NAME
  if [ -n "$mounted" ]; then
    on "$1" install -m 0755 "$mounted/$2" "/usr/local/bin/$3"
  else
    on "$1" sh -c "cat >/usr/local/bin/$3 && chmod 0755 /usr/local/bin/$3" <"$mirror/$2"
  fi
}

archive() { # HOST ARTIFACT DIRECTORY TAR_OPTIONS...
  local host=$1 artifact=$2 directory=$3
  shift 3
  if [ -n "$mounted" ]; then
    on "$host" tar -xzf "$mounted/$artifact" -C "$directory" --no-same-owner "$@"
  else
    on "$host" tar -xz -C "$directory" --no-same-owner "$@" <"$mirror/$artifact"
  fi
}

image() { # HOST REFERENCE
  local file
  file=images/$(echo "$2" | tr '/:@' '_').tar
  if [ -n "$mounted" ]; then
    on "$1" ctr --namespace k8s.io images import "$mounted/$file" >/dev/null
  else
    on "$1" ctr --namespace k8s.io images import - <"$mirror/$file" >/dev/null
  fi
}

packages() { # HOST PACKAGE...
  local host=$1
  shift
  on "$host" sh -c 'dpkg --status "$@" >/dev/null 2>&1 ||
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends "$@"; } >/dev/null' - "$@"
}

put() { # HOST DIRECTORY FILE...: copies of files here
  local host=$1 directory=$2
  shift 2
  tar -c --owner=0 --group=0 "$@" | on "$host" sh -c "mkdir -p $directory && tar -x -C $directory"
}

write() { # HOST PATH: standard input into a file
  on "$1" sh -c "mkdir -p \$(dirname $2) && cat >$2"
}

unit() { # HOST NAME TYPE COMMAND
  write "$1" "/etc/systemd/system/$2.service" <<END
[Unit]
After=network-online.target
[Service]
Type=$3
ExecStart=$4
Restart=on-failure
RestartSec=1
TimeoutStartSec=300
Delegate=yes
KillMode=${5:-control-group}
[Install]
WantedBy=multi-user.target
END
}

# --- Controllers ---

controller() { # HOST
  local host=$1 members="" servers="" one
  for one in "${controllers[@]}"; do
    members+=",$one=https://${ip[$one]}:2380"
    servers+=",https://${ip[$one]}:2379"
  done
  packages "$host" nginx &
  archive "$host" "$etcd" /usr/local/bin --strip-components=1 --wildcards '*/etcd' '*/etcdctl' &
  for one in kube-apiserver kube-controller-manager kube-scheduler kubectl; do
    program "$host" "$kubernetes/$one" "$one" &
  done
  put "$host" /etc/etcd ca.pem kubernetes.pem kubernetes-key.pem &
  put "$host" /var/lib/kubernetes ca.pem ca-key.pem kubernetes.pem kubernetes-key.pem service-account.pem service-account-key.pem \
    front-proxy-ca.pem front-proxy-client.pem front-proxy-client-key.pem encryption-config.yaml admin.kubeconfig \
    kube-controller-manager.kubeconfig kube-scheduler.kubeconfig &
  write "$host" /etc/kubernetes/config/audit-policy.yaml <<END
apiVersion: audit.k8s.io/v1
kind: Policy
rules: [{level: Metadata}]
END
  write "$host" /etc/kubernetes/config/kube-scheduler.yaml <<END
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
clientConnection: {kubeconfig: /var/lib/kubernetes/kube-scheduler.kubeconfig}
leaderElection: {leaderElect: true}
END
  unit "$host" etcd notify "/usr/local/bin/etcd --name=$host --cert-file=/etc/etcd/kubernetes.pem \
    --key-file=/etc/etcd/kubernetes-key.pem --peer-cert-file=/etc/etcd/kubernetes.pem --peer-key-file=/etc/etcd/kubernetes-key.pem \
    --trusted-ca-file=/etc/etcd/ca.pem --peer-trusted-ca-file=/etc/etcd/ca.pem --peer-client-cert-auth --client-cert-auth \
    --initial-advertise-peer-urls=https://${ip[$host]}:2380 --listen-peer-urls=https://${ip[$host]}:2380 \
    --listen-client-urls=https://${ip[$host]}:2379,https://127.0.0.1:2379 --advertise-client-urls=https://${ip[$host]}:2379 \
    --initial-cluster-token=etcd-cluster-0 --initial-cluster=${members#,} --initial-cluster-state=new --data-dir=/var/lib/etcd"
  unit "$host" kube-apiserver notify "/usr/local/bin/kube-apiserver --advertise-address=${ip[$host]} --allow-privileged=true \
    --audit-log-path=/var/log/audit.log --audit-policy-file=/etc/kubernetes/config/audit-policy.yaml \
    --authorization-mode=Node,RBAC --client-ca-file=/var/lib/kubernetes/ca.pem --enable-admission-plugins=NodeRestriction \
    --encryption-provider-config=/var/lib/kubernetes/encryption-config.yaml --etcd-cafile=/var/lib/kubernetes/ca.pem \
    --etcd-certfile=/var/lib/kubernetes/kubernetes.pem --etcd-keyfile=/var/lib/kubernetes/kubernetes-key.pem \
    --etcd-servers=${servers#,} --kubelet-certificate-authority=/var/lib/kubernetes/ca.pem \
    --kubelet-client-certificate=/var/lib/kubernetes/kubernetes.pem --kubelet-client-key=/var/lib/kubernetes/kubernetes-key.pem \
    --proxy-client-cert-file=/var/lib/kubernetes/front-proxy-client.pem \
    --proxy-client-key-file=/var/lib/kubernetes/front-proxy-client-key.pem \
    --requestheader-client-ca-file=/var/lib/kubernetes/front-proxy-ca.pem --requestheader-allowed-names=front-proxy-client \
    --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
    --requestheader-extra-headers-prefix=X-Remote-Extra- --runtime-config=api/all=true \
    --service-account-issuer=https://kubernetes.default.svc.$domain \
    --service-account-key-file=/var/lib/kubernetes/service-account.pem \
    --service-account-signing-key-file=/var/lib/kubernetes/service-account-key.pem --service-cluster-ip-range=10.32.0.0/24 \
    --tls-cert-file=/var/lib/kubernetes/kubernetes.pem --tls-private-key-file=/var/lib/kubernetes/kubernetes-key.pem"
  unit "$host" kube-controller-manager simple "/usr/local/bin/kube-controller-manager --bind-address=127.0.0.1 \
    --cluster-cidr=10.200.0.0/16 --cluster-name=kubernetes --cluster-signing-cert-file=/var/lib/kubernetes/ca.pem \
    --cluster-signing-key-file=/var/lib/kubernetes/ca-key.pem --kubeconfig=/var/lib/kubernetes/kube-controller-manager.kubeconfig \
    --leader-elect=true --root-ca-file=/var/lib/kubernetes/ca.pem \
    --service-account-private-key-file=/var/lib/kubernetes/service-account-key.pem --service-cluster-ip-range=10.32.0.0/24 \
    --use-service-account-credentials=true"
  unit "$host" kube-scheduler simple "/usr/local/bin/kube-scheduler --config=/etc/kubernetes/config/kube-scheduler.yaml"
  all
  on "$host" mkdir -p -m 0700 /var/lib/etcd
  on "$host" systemctl daemon-reload
  on "$host" systemctl enable --quiet --now etcd
  on "$host" systemctl enable --quiet --now kube-apiserver
  on "$host" systemctl enable --quiet --now kube-controller-manager kube-scheduler
  write "$host" /etc/nginx/sites-enabled/default <<END
server {
  listen 80;
  server_name kubernetes.default.svc.$domain;
  location /healthz {
    proxy_pass https://127.0.0.1:6443/healthz;
    proxy_ssl_trusted_certificate /var/lib/kubernetes/ca.pem;
  }
}
END
  on "$host" systemctl enable --quiet nginx
  on "$host" systemctl restart nginx
}

# --- Load balancer and client ---

balance() { # HOST
  local one
  packages "$1" nginx libnginx-mod-stream
  {
    echo "include /etc/nginx/modules-enabled/*.conf; events {} stream { upstream kubernetes {"
    for one in "${controllers[@]}"; do echo "server ${ip[$one]}:6443;"; done
    echo "} server { listen 6443; listen 443; proxy_connect_timeout 2s; proxy_pass kubernetes; } }"
  } | write "$1" /etc/nginx/nginx.conf
  on "$1" systemctl enable --quiet nginx
  on "$1" systemctl restart nginx
}

administer() { # HOST
  program "$1" "$kubernetes/kubectl" kubectl
  write "$1" /root/.kube/config <remote-admin.kubeconfig
}

# --- Workers ---

worker() { # HOST NUMBER
  local host=$1 number=$2 other=0 one
  packages "$host" socat conntrack ipset iptables kmod &
  on "$host" mkdir -p /opt/cni/bin /var/lib/kubelet
  archive "$host" "$containerd" /usr/local &
  archive "$host" "$crictl" /usr/local/bin &
  archive "$host" "$cni" /opt/cni/bin &
  program "$host" "$runc" runc &
  for one in kubelet kube-proxy; do program "$host" "$kubernetes/$one" "$one" & done
  put "$host" /var/lib/kubernetes ca.pem &
  put "$host" /var/lib/kubelet "$host.pem" "$host-key.pem" "$host.kubeconfig" &
  put "$host" /var/lib/kube-proxy kube-proxy.kubeconfig &
  write "$host" /etc/containerd/config.toml <<END
version = 3
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "registry.k8s.io/pause:$PAUSE"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      SystemdCgroup = true
END
  write "$host" /etc/cni/net.d/10-bridge.conflist <<END
{"cniVersion": "1.0.0", "name": "bridge", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true, "ipam": {"type": "host-local",
   "ranges": [[{"subnet": "10.200.$number.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
END
  write "$host" /var/lib/kubelet/kubelet-config.yaml <<END
kind: KubeletConfiguration
apiVersion: kubelet.config.k8s.io/v1beta1
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: /var/lib/kubernetes/ca.pem}}
authorization: {mode: Webhook}
cgroupDriver: systemd
clusterDomain: $domain
clusterDNS: [10.32.0.10]
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
failCgroupV1: false
resolvConf: /etc/resolv.conf
runtimeRequestTimeout: 15m
tlsCertFile: /var/lib/kubelet/$host.pem
tlsPrivateKeyFile: /var/lib/kubelet/$host-key.pem
END
  write "$host" /var/lib/kube-proxy/kube-proxy-config.yaml <<END
kind: KubeProxyConfiguration
apiVersion: kubeproxy.config.k8s.io/v1alpha1
clientConnection: {kubeconfig: /var/lib/kube-proxy/kube-proxy.kubeconfig}
mode: iptables
clusterCIDR: 10.200.0.0/16
hostnameOverride: $host
conntrack: {maxPerCore: 0}
END
  unit "$host" containerd notify /usr/local/bin/containerd process
  unit "$host" kubelet simple "/usr/local/bin/kubelet --config=/var/lib/kubelet/kubelet-config.yaml \
    --kubeconfig=/var/lib/kubelet/$host.kubeconfig --node-ip=${ip[$host]} --hostname-override=$host"
  unit "$host" kube-proxy simple "/usr/local/bin/kube-proxy --config=/var/lib/kube-proxy/kube-proxy-config.yaml"
  all
  on "$host" sh -c 'sysctl -qw net.ipv4.ip_forward=1; swapoff -a || true; systemctl daemon-reload; systemctl enable --quiet --now containerd'
  image "$host" "registry.k8s.io/pause:$PAUSE"
  image "$host" "registry.k8s.io/coredns/coredns:v$COREDNS"
  on "$host" systemctl enable --quiet --now kubelet kube-proxy
  for one in "${workers[@]}"; do
    other=$((other + 1))
    [ "$one" = "$host" ] || on "$host" ip route replace "10.200.$other.0/24" via "${ip[$one]}"
  done
}

for host in "${controllers[@]}"; do controller "$host" & done
balance "$balancer" &
administer "$client" &
number=0
for host in "${workers[@]}"; do
  number=$((number + 1))
  worker "$host" $number &
done
all

# --- Cluster services ---

kubectl() { on "$client" kubectl --kubeconfig=/root/.kube/config "$@"; }

until kubectl get --raw /readyz >/dev/null 2>&1; do sleep 0.2; done
kubectl create --filename=- >/dev/null <<END
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "system:kube-apiserver-to-kubelet"}
rules:
  - apiGroups: [""]
    resources: [nodes/proxy, nodes/stats, nodes/log, nodes/spec, nodes/metrics]
    verbs: ["*"]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "system:kube-apiserver"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:kube-apiserver-to-kubelet"}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: kubernetes}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: coredns, namespace: kube-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "system:coredns"}
rules:
  - {apiGroups: [""], resources: [services, pods, namespaces], verbs: [list, watch]}
  - {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "system:coredns"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:coredns"}
subjects: [{kind: ServiceAccount, name: coredns, namespace: kube-system}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: coredns, namespace: kube-system}
data:
  Corefile: |
    .:53 {
        errors
        health
        ready
        kubernetes $domain in-addr.arpa ip6.arpa {
            pods insecure
            fallthrough in-addr.arpa ip6.arpa
        }
        forward . /etc/resolv.conf
        cache 30
        reload
        loadbalance
    }
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: coredns, namespace: kube-system}
spec:
  replicas: 2
  selector: {matchLabels: {k8s-app: kube-dns}}
  template:
    metadata: {labels: {k8s-app: kube-dns}}
    spec:
      serviceAccountName: coredns
      dnsPolicy: Default
      containers:
        - name: coredns
          image: registry.k8s.io/coredns/coredns:v$COREDNS
          imagePullPolicy: IfNotPresent
          args: [-conf, /etc/coredns/Corefile]
          readinessProbe: {httpGet: {path: /ready, port: 8181}, periodSeconds: 2}
          volumeMounts: [{name: config, mountPath: /etc/coredns, readOnly: true}]
      volumes: [{name: config, configMap: {name: coredns}}]
---
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec:
  clusterIP: 10.32.0.10
  selector: {k8s-app: kube-dns}
  ports:
    - {name: dns, port: 53, protocol: UDP}
    - {name: dns-tcp, port: 53, protocol: TCP}
END
until kubectl wait --for=condition=Ready "${workers[@]/#/node/}" --timeout=60s >/dev/null 2>&1; do sleep 0.2; done
say nodes_ready
kubectl --namespace kube-system rollout status deployment/coredns --timeout=120s >/dev/null
say dns
