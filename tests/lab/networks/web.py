# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workloads of the pod network's tests: a web server on every worker that reports its client, and a single one."""

from __future__ import annotations

import base64
import dataclasses
import json
import pathlib
import re
import typing as t

from support import NGINX, in_url, local, of_family

if t.TYPE_CHECKING:
    from support import Cluster

# What nginx listens at, for a port of its pod.
LISTENS = {"IPv4": "listen {port};", "IPv6": "listen [::]:{port};"}
BUSYBOX = "docker.io/library/busybox:1.35.0"
HOST_PORT = 8085
#: The group of an API that the web servers serve beside what the cluster has.
API_GROUP = "lab.hardway.test"
#: The web servers' answer, as admission webhook, to every object.
REFUSAL = "the web server on a pod says no"

# `return` is all that the servers know. A request's body is there when it is passed on, so the webhook's answer, which
# has to hold the request's uid, comes from a second server.
_ANSWER = json.dumps(
    {
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "response": {"uid": "$http_x_uid", "allowed": False, "status": {"message": REFUSAL}},
    }
)
_NGINX = f"""
user www-data;
error_log /dev/stderr;
pid /run/nginx.pid;
events {{}}
http {{
    access_log /dev/stdout;
    default_type application/json;
    client_body_buffer_size 256k;
    client_body_in_single_buffer on;
    map $request_body $uid {{
        "~\\"uid\\":\\"(?<found>[^\\"]+)\\"" $found;
    }}
    server {{
        LISTEN 80
        location / {{ return 200 "$hostname $remote_addr\\n"; }}
    }}
    server {{
        LISTEN 443 ssl
        ssl_certificate /etc/lab/tls/tls.crt;
        ssl_certificate_key /etc/lab/tls/tls.key;
        location / {{
            return 200 '{{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"{API_GROUP}/v1","resources":[]}}';
        }}
        location = /apis/{API_GROUP}/v1/who {{ return 200 '{{"pod":"$hostname","asked by":"$remote_addr"}}'; }}
        location = /refuse {{
            proxy_pass http://127.0.0.1:81;
            proxy_set_header X-Uid $uid;
        }}
    }}
    server {{
        listen 127.0.0.1:81;
        location / {{ return 200 '{_ANSWER}'; }}
    }}
}}
"""


@dataclasses.dataclass(frozen=True)
class Pod:
    """A web server's pod. Its container `busybox` shares its network: what that one asks, the pod asks."""

    name: str
    #: One per family, the primary one first.
    addresses: tuple[str, ...]
    #: Name of the worker it runs on.
    worker: str
    container: str

    @property
    def address(self) -> str:
        """Return the primary address."""
        return self.addresses[0]

    def of(self, family: str) -> str:
        """Return the address of a family, IPv4 or IPv6."""
        return of_family(self.addresses, family)


@dataclasses.dataclass(frozen=True)
class Web:
    """The web servers, one a worker in the inventory's order, and the one that is alone."""

    cluster: Cluster
    namespace: str
    pods: list[Pod]
    alone: Pod

    def ask(self, pod: Pod, asked: str, *options: str) -> str:
        """Return what a pod gets from a name or an address."""
        url = f"http://{in_url(asked)}/"
        # Debian's busybox crashes when wget itself is given the time.
        return self.run(pod, "timeout", "5", "wget", "-q", "-O", "-", *options, url)

    def run(self, pod: Pod, *command: str) -> str:
        """Return what a command in a pod prints."""
        namespace = f"--namespace={self.namespace}"
        return self.cluster.kubectl("exec", pod.name, namespace, "--container=busybox", "--", *command)

    def found(self, pod: Pod, name: str, server: str = "") -> set[str]:
        """Return the addresses of both families that a pod finds for a full DNS name.

        :param server: address of the DNS server; the pod's own unless given.
        """
        answer = self.run(pod, "nslookup", name, *([server] if server else []))
        # The address of the server stands before.
        _server, named, addresses = answer.partition("Name:")
        assert not named or addresses.split()[0] == name, answer
        return set(re.findall(r"Address(?: \d+)?:\s+([0-9a-f.:]+)", addresses))

    def service(self, name: str) -> dict[str, t.Any]:
        """Return the specification of one of the web servers' Services."""
        return t.cast(dict[str, t.Any], self.cluster.get("service", name, f"--namespace={self.namespace}")["spec"])

    def cluster_ip(self, name: str, family: str) -> str:
        """Return the address of a family that one of the web servers' Services has."""
        return of_family(self.service(name)["clusterIPs"], family)

    def node_port(self, service: str) -> int:
        """Return the port on which every worker answers for one of these Services."""
        return next(int(port["nodePort"]) for port in self.service(service)["ports"] if port["name"] == "http")


def certificate(name: str, directory: pathlib.Path) -> tuple[bytes, bytes]:
    """Return a certificate that signs itself, and its key, for one DNS name."""
    files = ("-keyout", str(directory / "tls.key"), "-out", str(directory / "tls.crt"))
    made = local(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"),
        *("-addext", f"subjectAltName=DNS:{name}", *files),
    )
    assert made.returncode == 0, made.stderr
    return (directory / "tls.crt").read_bytes(), (directory / "tls.key").read_bytes()


def _template(name: str, *, host_port: int = 0) -> dict[str, t.Any]:
    port = {"containerPort": 80} | ({"hostPort": host_port} if host_port else {})
    return {
        "metadata": {"labels": {"app": name}},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "containers": [
                {
                    "name": "nginx",
                    "image": NGINX,
                    "command": ["nginx", "-c", "/etc/lab/nginx/nginx.conf", "-g", "daemon off;"],
                    "ports": [port],
                    "volumeMounts": [
                        {"name": "nginx", "mountPath": "/etc/lab/nginx"},
                        {"name": "tls", "mountPath": "/etc/lab/tls"},
                    ],
                    "readinessProbe": {"httpGet": {"port": 80}, "periodSeconds": 1},
                },
                {"name": "busybox", "image": BUSYBOX, "command": ["sleep", "3600"]},
            ],
            "volumes": [
                {"name": "nginx", "configMap": {"name": "nginx"}},
                {"name": "tls", "secret": {"secretName": "tls"}},
            ],
        },
    }


def service(name: str, app: str, **more: t.Any) -> dict[str, t.Any]:
    ports = [{"name": "http", "port": 80}, {"name": "https", "port": 443}]
    # As many addresses as there are families; a Service has one unless it asks for more.
    spec = {"selector": {"app": app}, "ports": ports, "ipFamilyPolicy": "PreferDualStack", **more}
    return _object("v1", "Service", name, spec=spec)


def _object(version: str, kind: str, name: str, **more: t.Any) -> dict[str, t.Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **more}


def nginx(families: t.Sequence[str]) -> str:
    """Return the configuration of servers that listen at the addresses of these families."""

    def listening(found: re.Match[str]) -> str:
        return "\n        ".join(LISTENS[family].format(port=found[1]) for family in families)

    return re.sub(r"LISTEN (.+)", listening, _NGINX)


def objects(namespace: str, families: t.Sequence[str], tls_certificate: bytes, key: bytes) -> list[dict[str, t.Any]]:
    """Return what the web servers consist of."""
    tls = {"tls.crt": base64.b64encode(tls_certificate).decode(), "tls.key": base64.b64encode(key).decode()}
    made = [
        _object("v1", "ConfigMap", "nginx", data={"nginx.conf": nginx(families)}),
        _object("v1", "Secret", "tls", type="kubernetes.io/tls", data=tls),
        _object(
            "apps/v1",
            "DaemonSet",
            "web",
            spec={"selector": {"matchLabels": {"app": "web"}}, "template": _template("web", host_port=HOST_PORT)},
        ),
        _object(
            "apps/v1",
            "Deployment",
            "alone",
            spec={"selector": {"matchLabels": {"app": "alone"}}, "template": _template("alone")},
        ),
        service("web", "web"),
        service("web-headless", "web", clusterIP="None"),
        service("web-node-port", "web", type="NodePort"),
        service("web-local", "web", type="NodePort", externalTrafficPolicy="Local"),
        service("alone", "alone"),
    ]
    for one in made:
        one["metadata"]["namespace"] = namespace
    return made


def extensions(namespace: str, tls_certificate: bytes) -> list[dict[str, t.Any]]:
    """Return what makes API servers ask the web servers: an aggregated API, and an admission webhook."""
    authority = base64.b64encode(tls_certificate).decode()
    service = {"namespace": namespace, "name": "web", "port": 443}
    return [
        _object(
            "apiregistration.k8s.io/v1",
            "APIService",
            f"v1.{API_GROUP}",
            spec={
                "group": API_GROUP,
                "version": "v1",
                "groupPriorityMinimum": 1000,
                "versionPriority": 10,
                "caBundle": authority,
                "service": service,
            },
        ),
        _object(
            "admissionregistration.k8s.io/v1",
            "ValidatingWebhookConfiguration",
            API_GROUP,
            webhooks=[
                {
                    "name": f"refuse.{API_GROUP}",
                    "clientConfig": {"service": {**service, "path": "/refuse"}, "caBundle": authority},
                    "rules": [
                        {
                            "apiGroups": [""],
                            "apiVersions": ["v1"],
                            "operations": ["CREATE"],
                            "resources": ["configmaps"],
                        }
                    ],
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                    "objectSelector": {"matchLabels": {"ask": "the-webhook"}},
                    "admissionReviewVersions": ["v1"],
                    "sideEffects": "None",
                    "failurePolicy": "Fail",
                    "timeoutSeconds": 5,
                }
            ],
        ),
    ]


def pods(cluster: Cluster, namespace: str, app: str) -> list[Pod]:
    """Return the pods of an app, by worker in the inventory's order."""
    found = cluster.get("pods", f"--namespace={namespace}", f"--selector=app={app}")["items"]
    running = {
        pod["spec"]["nodeName"]: Pod(
            pod["metadata"]["name"],
            tuple(one["ip"] for one in pod["status"]["podIPs"]),
            pod["spec"]["nodeName"],
            next(
                one["containerID"] for one in pod["status"]["containerStatuses"] if one["name"] == "busybox"
            ).rpartition("/")[2],
        )
        for pod in found
        if "deletionTimestamp" not in pod["metadata"]
    }
    return [running[worker.name] for worker in cluster.workers if worker.name in running]
