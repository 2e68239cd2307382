# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the inventory of a lab of another size: ``inventories/lab-custom``.

usage: inventory.py CONTROLLERS WORKERS LBS [RELEASE [NAME=VALUE]...]

An empty RELEASE leaves the catalogue's default. Further arguments are variables of the lab's hosts.
"""

from __future__ import annotations

import pathlib
import sys
import typing as t

import yaml

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_NETWORK = "10.240.0."


def hosts(addresses: dict[str, int]) -> dict[str, dict[str, str]]:
    """Return hosts by name, from the last parts of their addresses."""
    return {
        name: {"ansible_host": f"hardway-{name}", "node_address": f"{_NETWORK}{last}"}
        for name, last in addresses.items()
    }


def numbered(prefix: str, count: int, first: int) -> dict[str, int]:
    """Return the last parts of the addresses of hosts with numbered names."""
    return {f"{prefix}{number:02d}": first + number for number in range(1, count + 1)}


def inventory(
    controllers: int, workers: int, load_balancers: int, release: str = "", *settings: str
) -> dict[str, t.Any]:
    """Return an inventory; with the article's numbers it is the article's.

    :param settings: ``NAME=VALUE``, the value as YAML.
    """
    balancers = {"kubelb": 10} if load_balancers else {}
    balancers |= {f"kubelb{number:02d}": 198 + number for number in range(2, load_balancers + 1)}
    children: dict[str, t.Any] = {
        "controllers": {"hosts": hosts(numbered("ctl", controllers, 10))},
        "etcd": {"children": {"controllers": None}},
        "lb": {"hosts": hosts(balancers)},
        "workers": {"hosts": hosts(numbered("wrk", workers, 20))},
        "clients": {"hosts": hosts({"client": 5})},
        "containers": {"children": dict.fromkeys(("controllers", "lb", "workers", "clients"))},
    }
    pairs = (setting.partition("=") for setting in settings)
    chosen = {name: yaml.safe_load(value) for name, _equals, value in pairs}
    # Of each host: those of a group would not win over group_vars/all.
    for group in children.values():
        for host in group.get("hosts", {}).values():
            host.update(chosen)
    variables = {"vars": {"cluster_release": release}} if release else {}
    return {"all": variables | {"children": children}}


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
    content = inventory(controllers, workers, load_balancers, *sys.argv[4:])
    directory = _ROOT / "inventories" / "lab-custom"
    directory.mkdir(exist_ok=True)
    link = directory / "group_vars"
    if not link.is_symlink():
        link.symlink_to("../lab/group_vars")
    (directory / "hosts.yml").write_text("---\n" + yaml.safe_dump(content, sort_keys=False))


if __name__ == "__main__":
    main()
