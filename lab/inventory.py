# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the inventory of a lab of another size or other address families: ``inventories/lab-custom``.

usage: inventory.py CONTROLLERS WORKERS LBS FAMILIES [RELEASE [NAME=VALUE]...]

FAMILIES is ipv4, dual or ipv6. An empty RELEASE leaves the catalogue's default. Further arguments are variables of the
lab's hosts.
"""

from __future__ import annotations

import pathlib
import sys
import typing as t

import yaml

_ROOT = pathlib.Path(__file__).resolve().parent.parent
# The beginning of the hosts' addresses by family. The last parts have the same digits in both.
_NETWORKS = {"ipv4": "10.240.0.", "ipv6": "fd00:10:240::"}
# Networks of pods and Services by family: the defaults of the role `cluster`, and their like (RFC 4193).
_RANGES = {
    "ipv4": {
        "cluster_pod_cidr": "10.200.0.0/16",
        "cluster_service_cidr": "10.32.0.0/24",
        "cluster_dns_address": "10.32.0.10",
    },
    "ipv6": {
        "cluster_pod_cidr": "fd00:10:200::/56",
        "cluster_service_cidr": "fd00:10:32::/112",
        "cluster_dns_address": "fd00:10:32::a",
    },
}
#: The families of a lab by the word for them; the first is the primary one.
FAMILIES = {"ipv4": ("ipv4",), "dual": ("ipv4", "ipv6"), "ipv6": ("ipv6",)}


def hosts(addresses: dict[str, int], families: t.Sequence[str] = ("ipv4",)) -> dict[str, dict[str, str]]:
    """Return hosts by name, from the last parts of their addresses.

    :param families: "ipv4" and "ipv6"; a host has an address of each, in this order, separated by commas.
    """
    return {
        name: {
            "ansible_host": f"hardway-{name}",
            "node_address": ",".join(f"{_NETWORKS[family]}{last}" for family in families),
        }
        for name, last in addresses.items()
    }


def ranges(families: t.Sequence[str]) -> dict[str, str]:
    """Return the settings of the networks of pods and Services; none with IPv4 alone, which is the default."""
    if tuple(families) == FAMILIES["ipv4"]:
        return {}
    return {name: ",".join(_RANGES[family][name] for family in families) for name in _RANGES["ipv4"]}


def numbered(prefix: str, count: int, first: int) -> dict[str, int]:
    """Return the last parts of the addresses of hosts with numbered names."""
    return {f"{prefix}{number:02d}": first + number for number in range(1, count + 1)}


def inventory(
    controllers: int, workers: int, load_balancers: int, families: str = "ipv4", release: str = "", *settings: str
) -> dict[str, t.Any]:
    """Return an inventory; with the article's numbers it is the article's.

    :param families: a word of `FAMILIES`. Weave Net, the lab's network, has no IPv6: then the network is flannel.
    :param settings: ``NAME=VALUE``, the value as YAML. They win over those of the families.
    """
    of = FAMILIES[families]
    balancers = {"kubelb": 10} if load_balancers else {}
    balancers |= {f"kubelb{number:02d}": 198 + number for number in range(2, load_balancers + 1)}
    children: dict[str, t.Any] = {
        "controllers": {"hosts": hosts(numbered("ctl", controllers, 10), of)},
        "etcd": {"children": {"controllers": None}},
        "lb": {"hosts": hosts(balancers, of)},
        "workers": {"hosts": hosts(numbered("wrk", workers, 20), of)},
        "clients": {"hosts": hosts({"client": 5}, of)},
        "containers": {"children": dict.fromkeys(("controllers", "lb", "workers", "clients"))},
    }
    pairs = (setting.partition("=") for setting in settings)
    chosen = {"cluster_pod_network": "flannel"} if "ipv6" in of else {}
    chosen |= {name: yaml.safe_load(value) for name, _equals, value in pairs}
    # Of each host: those of a group would not win over group_vars/all.
    for group in children.values():
        for host in group.get("hosts", {}).values():
            host.update(chosen)
    variables = ranges(of) | ({"cluster_release": release} if release else {})
    return {"all": ({"vars": variables} if variables else {}) | {"children": children}}


def main() -> None:
    """Write the inventory, with the settings of inventories/lab."""
    names = ("CONTROLLERS", "WORKERS", "LBS")
    allowed = ((1, 9), (1, 150), (0, 9))
    numbers = []
    for name, text, (least, most) in zip(names, sys.argv[1:4], allowed, strict=True):
        if not text.isdigit() or not least <= int(text) <= most:
            sys.exit(f"{name}={text}: a number from {least} to {most} is allowed")
        numbers.append(int(text))
    controllers, workers, load_balancers = numbers
    if sys.argv[4] not in FAMILIES:
        sys.exit(f"FAMILIES={sys.argv[4]}: {', '.join(FAMILIES)} are allowed")
    content = inventory(controllers, workers, load_balancers, *sys.argv[4:])
    directory = _ROOT / "inventories" / "lab-custom"
    directory.mkdir(exist_ok=True)
    link = directory / "group_vars"
    if not link.is_symlink():
        link.symlink_to("../lab/group_vars")
    (directory / "hosts.yml").write_text("---\n" + yaml.safe_dump(content, sort_keys=False))


if __name__ == "__main__":
    main()
