# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record what a version of etcd answers, for the unit tests: tests/unit/plugins/module_utils/_etcd/answers/.

usage: record.py DIRECTORY_OF_ETCD [...]

A cluster of real processes goes through the life that the unit tests ask about. Its addresses are replaced
by those of the article, so that two recordings differ in what etcd says and in nothing else.
"""

from __future__ import annotations

import json
import pathlib
import ssl
import subprocess
import sys
import tempfile
import time
import typing as t
import urllib.error
import urllib.request

from harness import Cluster, Node

_TARGET = pathlib.Path(__file__).resolve().parents[1] / "unit" / "plugins" / "module_utils" / "_etcd" / "answers"
_LIST = ("/v3/cluster/member/list", {"linearizable": False})
_STATUS = ("/v3/maintenance/status", {})


class Recorder:
    """Sends requests to one cluster and keeps the answers."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._context = ssl.create_default_context(cafile=str(cluster.authority.certificate))
        self._context.load_cert_chain(cluster.certificate, cluster.key)
        self.answers: dict[str, dict[str, t.Any]] = {}

    def keep(self, label: str, node: Node, path: str, body: dict[str, t.Any]) -> dict[str, t.Any]:
        """Send one request and keep its answer under a label."""
        request = urllib.request.Request(node.client_url + path, json.dumps(body).encode(), method="POST")
        try:
            with urllib.request.urlopen(request, context=self._context, timeout=10) as answer:
                status, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        except TimeoutError:
            # etcd itself gives up some requests without a quorum after 7 s, and others never.
            status, text = 0, "no answer"
        self.answers[label] = {"path": path, "status": status, "text": self._anonymous(text)}
        return t.cast(dict[str, t.Any], json.loads(text)) if text.startswith("{") else {}

    def _anonymous(self, text: str) -> str:
        for number, node in enumerate(self._cluster.nodes.values(), start=1):
            text = text.replace(node.client_url, f"https://10.240.0.1{number}:2379")
            text = text.replace(node.peer_url, f"https://10.240.0.1{number}:2380")
        return text


def life(cluster: Cluster, keep: t.Callable[..., dict[str, t.Any]]) -> None:
    """Take a cluster through what the modules do and meet."""
    cluster.form("ctl01")
    one, two, three = cluster.nodes["ctl01"], cluster.node("ctl02"), cluster.node("ctl03")
    keep("one list", one, *_LIST)
    keep("one status", one, *_STATUS)
    keep("no alarms", one, "/v3/maintenance/alarm", {"action": "GET"})
    keep("unknown path", one, "/v3/cluster/member/nothing", {})
    keep("remove unknown", one, "/v3/cluster/member/remove", {"ID": "1"})
    keep("add learner", one, "/v3/cluster/member/add", {"peerURLs": [two.peer_url], "isLearner": True})
    keep("unstarted list", one, *_LIST)
    keep("add twice", one, "/v3/cluster/member/add", {"peerURLs": [two.peer_url], "isLearner": True})
    added = keep("second learner", one, "/v3/cluster/member/add", {"peerURLs": [three.peer_url], "isLearner": True})
    members = keep("unstarted list", one, *_LIST)["members"]
    learner = next(member["ID"] for member in members if not member.get("name"))
    keep("promote too early", one, "/v3/cluster/member/promote", {"ID": learner})
    initial = f"ctl01={one.peer_url},ctl02={two.peer_url}"
    cluster.start(two, initial, "existing")
    while not any(member.get("name") == "ctl02" for member in keep("learner list", one, *_LIST)["members"]):
        time.sleep(0.1)
    while not keep("learner status", two, *_STATUS).get("leader"):
        time.sleep(0.1)
    keep("list at a learner", two, *_LIST)
    while keep("promote", one, "/v3/cluster/member/promote", {"ID": learner}).get("header") is None:
        time.sleep(0.2)
    cluster.wait(two)
    keep("two list", one, "/v3/cluster/member/list", {"linearizable": True})
    keep("alarm raised", one, "/v3/maintenance/alarm", {"action": "ACTIVATE", "memberID": learner, "alarm": "NOSPACE"})
    keep("alarms", one, "/v3/maintenance/alarm", {"action": "GET"})
    keep("alarmed status", one, *_STATUS)
    cluster.stop(two)
    keep("unhealthy add", one, "/v3/cluster/member/add", {"peerURLs": [three.peer_url], "isLearner": True})
    while keep("alone status", one, *_STATUS).get("leader"):
        time.sleep(0.2)
    keep("alone list", one, *_LIST)
    keep("alone remove", one, "/v3/cluster/member/remove", {"ID": learner})
    keep("alone agreed list", one, "/v3/cluster/member/list", {"linearizable": True})
    assert added


def main() -> None:
    """Record each version that is named by the directory of its programs."""
    _TARGET.mkdir(exist_ok=True)
    for directory in map(pathlib.Path, sys.argv[1:]):
        said = subprocess.run([directory / "etcd", "--version"], capture_output=True, text=True, check=True).stdout
        version = said.splitlines()[0].rpartition(" ")[2]
        with tempfile.TemporaryDirectory() as work:
            cluster = Cluster(directory, pathlib.Path(work))
            try:
                recorder = Recorder(cluster)
                life(cluster, recorder.keep)
            finally:
                cluster.close()
        minor = ".".join(version.split(".")[:2])
        content = {"version": version, "answers": recorder.answers}
        (_TARGET / f"{minor}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        print(f"etcd {version}: {len(recorder.answers)} answers")


if __name__ == "__main__":
    main()
