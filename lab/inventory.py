# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the inventory of a lab of another size, connection, release or settings: ``inventories/lab-custom``.

usage: inventory.py [--connection=docker|ssh] [--families=ipv4|dual|ipv6] CONTROLLERS WORKERS LBS [RELEASE [SETTING]...]

An empty RELEASE leaves the catalogue's default. A SETTING is ``NAME=VALUE``, a variable of all hosts of the lab, or
``HOST:NAME=VALUE``, one of this host, which wins.
"""

from __future__ import annotations

import argparse
import pathlib
import re
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
_SETTING = re.compile(r"(?:(?P<host>[^:=]+):)?(?P<name>[A-Za-z_]\w*)=(?P<value>.*)", re.DOTALL)
# The group that decides how hosts are reached: inventories/lab/group_vars has a file for each.
_GROUPS = {"docker": "containers", "ssh": "machines"}

Hosts = dict[str, dict[str, t.Any]]


class UsageError(Exception):
    """An argument is wrong: which, what was found, what is allowed."""


def hosts(addresses: dict[str, int], families: t.Sequence[str] = ("ipv4",), connection: str = "docker") -> Hosts:
    """Return hosts by name, from the last parts of their addresses.

    :param families: "ipv4" and "ipv6"; a host has an address of each, in this order, separated by commas.
    :param connection: ``docker``, or ``ssh``, where a host's first address is what Ansible connects to.
    """
    found: Hosts = {}
    for name, last in addresses.items():
        container = f"hardway-{name}"
        own = [f"{_NETWORKS[family]}{last}" for family in families]
        reached = (
            {"ansible_host": container}
            if connection == "docker"
            else {"ansible_host": own[0], "lab_container": container}
        )
        found[name] = reached | {"node_address": ",".join(own)}
    return found


def ranges(families: t.Sequence[str]) -> dict[str, str]:
    """Return the settings of the networks of pods and Services; none with IPv4 alone, which is the default."""
    if tuple(families) == FAMILIES["ipv4"]:
        return {}
    return {name: ",".join(_RANGES[family][name] for family in families) for name in _RANGES["ipv4"]}


def numbered(prefix: str, count: int, first: int) -> dict[str, int]:
    """Return the last parts of the addresses of hosts with numbered names."""
    return {f"{prefix}{number:02d}": first + number for number in range(1, count + 1)}


def choose(known: Hosts, settings: t.Iterable[str]) -> None:
    """Give hosts their settings.

    :param known: every host of the lab; gets the settings.
    :param settings: ``NAME=VALUE`` or ``HOST:NAME=VALUE``, the value as YAML.
    :raises UsageError: neither form, or a host that the lab does not have.
    """
    found = []
    for setting in settings:
        parts = _SETTING.fullmatch(setting)
        if not parts:
            raise UsageError(f"SETTINGS: {setting}: NAME=VALUE and HOST:NAME=VALUE are allowed")
        host, name, value = parts["host"], parts["name"], yaml.safe_load(parts["value"])
        if host and host not in known:
            raise UsageError(f"SETTINGS: {setting}: the lab has no host {host}; it has {', '.join(known)}")
        found.append((host, name, value))
    # Of each host: those of a group would not win over group_vars/all. A host's own come last, and win.
    for host, name, value in sorted(found, key=lambda one: one[0] is not None):
        for each in [host] if host else known:
            known[each][name] = value


def inventory(
    controllers: int,
    workers: int,
    load_balancers: int,
    release: str = "",
    *settings: str,
    families: str = "ipv4",
    connection: str = "docker",
) -> dict[str, t.Any]:
    """Return an inventory; with the article's numbers it is the article's.

    :param settings: ``NAME=VALUE`` for all hosts, ``HOST:NAME=VALUE`` for one; the value as YAML. They win
        over those of the families.
    :param families: a word of `FAMILIES`. Weave Net, the lab's network, has no IPv6: then the network is flannel.
    :param connection: ``docker``, or ``ssh``, where a host's address is what Ansible connects to.
    :raises UsageError: a setting of neither form, or of a host that the lab does not have.
    """
    of = FAMILIES[families]
    balancers = {"kubelb": 10} if load_balancers else {}
    balancers |= {f"kubelb{number:02d}": 198 + number for number in range(2, load_balancers + 1)}
    parts = {
        "controllers": hosts(numbered("ctl", controllers, 10), of, connection),
        "lb": hosts(balancers, of, connection),
        "workers": hosts(numbered("wrk", workers, 20), of, connection),
        "clients": hosts({"client": 5}, of, connection),
    }
    networks = ["cluster_pod_network=flannel"] if "ipv6" in of else []
    choose({name: host for part in parts.values() for name, host in part.items()}, [*networks, *settings])
    children: dict[str, t.Any] = {part: {"hosts": members} for part, members in parts.items()}
    children["etcd"] = {"children": {"controllers": None}}
    children[_GROUPS[connection]] = {"children": dict.fromkeys(parts)}
    variables = ranges(of) | ({"cluster_release": release} if release else {})
    return {"all": ({"vars": variables} if variables else {}) | {"children": children}}


def numbers(*given: str) -> tuple[int, int, int]:
    """Return the numbers of hosts.

    :param given: of controllers, workers and load balancers.
    :raises UsageError: not a number, or one that is not allowed.
    """
    names = ("CONTROLLERS", "WORKERS", "LBS")
    allowed = ((1, 9), (1, 150), (0, 9))
    for name, text, (least, most) in zip(names, given, allowed, strict=True):
        if not text.isdigit() or not least <= int(text) <= most:
            raise UsageError(f"{name}={text}: a number from {least} to {most} is allowed")
    controllers, workers, load_balancers = map(int, given)
    return controllers, workers, load_balancers


def main() -> None:
    """Write the inventory, with the settings of inventories/lab."""
    reading = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reading.add_argument("--connection", default="docker")
    reading.add_argument("--families", default="ipv4")
    reading.add_argument("controllers")
    reading.add_argument("workers")
    reading.add_argument("lbs")
    reading.add_argument("release", nargs="?", default="")
    reading.add_argument("settings", nargs="*")
    given = reading.parse_args()
    try:
        if given.connection not in _GROUPS:
            raise UsageError(f"CONNECTION={given.connection}: {' and '.join(_GROUPS)} are allowed")
        if given.families not in FAMILIES:
            raise UsageError(f"FAMILIES={given.families}: {', '.join(FAMILIES)} are allowed")
        counted = numbers(given.controllers, given.workers, given.lbs)
        content = inventory(
            *counted, given.release, *given.settings, families=given.families, connection=given.connection
        )
    except UsageError as error:
        sys.exit(str(error))
    directory = _ROOT / "inventories" / "lab-custom"
    directory.mkdir(exist_ok=True)
    link = directory / "group_vars"
    if not link.is_symlink():
        link.symlink_to("../lab/group_vars")
    (directory / "hosts.yml").write_text("---\n" + yaml.safe_dump(content, sort_keys=False))


if __name__ == "__main__":
    main()
