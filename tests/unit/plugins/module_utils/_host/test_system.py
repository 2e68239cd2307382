# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What else is on a host: swap in all its forms, resolvers that run, and the owners of ports."""

from __future__ import annotations

import fcntl
import os
import pathlib
import re
import socket

import pytest
import yaml
from ansible_collections.hardway.kubernetes.plugins.module_utils._host import system

ROOT = pathlib.Path(__file__).resolve().parents[5]
SWAP_TASKS = yaml.safe_load((ROOT / "roles" / "worker" / "tasks" / "swap.yml").read_text(encoding="utf-8"))


def shown(*units: str) -> str:
    """Return what systemctl show prints of units: name, load state, active state, unit file state, path."""
    names = ("Id", "LoadState", "ActiveState", "UnitFileState", "FragmentPath")
    return "\n\n".join(
        "\n".join(f"{name}={value}" for name, value in zip(names, unit.split(","), strict=True)) for unit in units
    )


def states(*units: str) -> list[dict[str, str]]:
    return system.states(lambda command: shown(*units))


@pytest.mark.parametrize(
    ("unit", "way"),
    [
        ("swapfile.swap,loaded,active,enabled,/etc/systemd/system/swapfile.swap", "disable"),
        ("swapfile.swap,loaded,inactive,enabled,/etc/systemd/system/swapfile.swap", "disable"),
        ("swapfile.swap,loaded,inactive,disabled,/etc/systemd/system/swapfile.swap", None),
        ("dev-zram0.swap,loaded,active,generated,/run/systemd/generator/dev-zram0.swap", "mask"),
        ("dev-zram0.swap,loaded,inactive,generated,/run/systemd/generator/dev-zram0.swap", "mask"),
        ("dev-zram0.swap,masked,inactive,masked,/etc/systemd/system/dev-zram0.swap", None),
        ("dev-sda2.swap,loaded,active,,", "mask"),
        ("zramswap.service,loaded,active,enabled,/usr/lib/systemd/system/zramswap.service", "mask"),
        ("zramswap.service,loaded,inactive,disabled,/usr/lib/systemd/system/zramswap.service", None),
        ("zramswap.service,masked,inactive,masked,", None),
        ("dphys-swapfile.service,not-found,inactive,,", None),
        ("systemd-resolved.service,loaded,active,enabled,/usr/lib/systemd/system/systemd-resolved.service", None),
    ],
)
def test_units_that_turn_swap_on(unit, way):
    name = unit.split(",")[0]
    assert system.swap_units(states(unit)) == ({name: way} if way else {})


def test_a_host_without_systemd():
    assert system.states(lambda command: "") == []


@pytest.mark.parametrize(
    ("active", "file", "runs"), [("active", True, True), ("inactive", True, False), ("active", False, False)]
)
def test_systemd_resolved_has_to_run(monkeypatch, tmp_path, active, file, runs):
    """Its list of resolvers stays when it is stopped."""
    monkeypatch.setattr(system, "_RESOLVED_FILE", str(tmp_path / "resolv.conf"))
    if file:
        (tmp_path / "resolv.conf").touch()
    assert system.resolved_runs(states(f"systemd-resolved.service,loaded,{active},enabled,/x")) is runs


@pytest.mark.parametrize(
    ("line", "swap"),
    [
        ("/dev/sda2\tnone\tswap\tsw\t0\t0", True),
        ("  /swapfile none swap sw 0 0", True),
        ("\tUUID=1 none swap defaults", True),
        ("UUID=1 none swap", True),
        ("#/dev/sda2 none swap sw 0 0", False),
        ("  # /dev/sda2 none swap sw 0 0", False),
        ("/dev/sda3 /swap ext4 defaults 0 2", False),
        ("/dev/sda1 /\nhome data swap", True),
        ("/dev/sda1\n/ swap ext4", False),
    ],
)
def test_swap_in_fstab(line, swap):
    text = f"# a comment\n{line}\nUUID=2 / ext4 defaults 0 1\n"
    assert system.fstab_swap(text) is swap
    # The task finds the same lines, and leaves none of them.
    replace = next(task for task in SWAP_TASKS if task["name"] == "Keep swap off")["ansible.builtin.replace"]
    after = re.sub(replace["regexp"], replace["replace"], text, flags=re.MULTILINE)
    assert (after != text) is swap
    assert not system.fstab_swap(after)


def test_left_overs(tmp_path):
    paths = [str(tmp_path / "admin.conf"), str(tmp_path / "none"), str(tmp_path / "link")]
    (tmp_path / "admin.conf").touch()
    (tmp_path / "link").symlink_to("nowhere")
    assert system.left_overs(paths) == [paths[0], paths[2]]


def text(path: str) -> str:
    return pathlib.Path(path).read_text(encoding="utf-8") if os.path.exists(path) else ""


@pytest.fixture(params=[False, True], ids=["ascending", "descending"])
def proc(request, monkeypatch, tmp_path):
    """A /proc with two processes, which hold a file and the sockets of inode 4711 and 4712, listed in either order."""
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: sorted(listdir(path), reverse=request.param))
    (tmp_path / "net").mkdir()
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    row = "   {}: 0100007F:{:04X} 00000000:0000 {} 00000000:00000000 00:00000000 00000000     0        0 {} 1\n"
    (tmp_path / "net" / "tcp").write_text(head + row.format(0, 10248, "0A", 4711) + row.format(1, 22, "01", 4711))
    (tmp_path / "net" / "tcp6").write_text(head + row.format(0, 6443, "0A", 4712) + row.format(1, 80, "0A", 1))
    for process, inode in (("12", 4711), ("13", 4712)):
        (tmp_path / process / "fd").mkdir(parents=True)
        (tmp_path / process / "fd" / "0").symlink_to("/dev/null")
        (tmp_path / process / "fd" / "5").symlink_to(f"socket:[{inode}]")
    (tmp_path / "12" / "cgroup").write_text("0::/system.slice/kubelet.service\n")
    (tmp_path / "13" / "comm").write_text("kube-apiserver\n")
    (tmp_path / "self").mkdir()
    return tmp_path


def test_owners_of_ports(proc):
    assert system.listeners(text, str(proc)) == {"6443": "kube-apiserver", "10248": "kubelet.service"}


def test_owners_of_ports_in_old_control_groups(proc):
    (proc / "12" / "cgroup").write_text("4:memory:/x\n1:name=systemd:/system.slice/k3s.service\n")
    assert system.listeners(text, str(proc))["10248"] == "k3s.service"


def test_the_owner_of_a_port_that_is_asked_for(proc, monkeypatch):
    looked_at = []
    held = system._held
    monkeypatch.setattr(system, "_held", lambda process: looked_at.append(pathlib.Path(process).name) or held(process))
    assert system.listeners(text, str(proc), ports=[10250, 6443]) == {"6443": "kube-apiserver"}
    assert looked_at == ["13"], "that process has a component's name"
    looked_at.clear()
    assert system.listeners(text, str(proc), ports=[10250]) == {}
    assert looked_at == []
    # Nobody holds the socket.
    assert system.listeners(text, str(proc), ports=[80]) == {}
    assert sorted(looked_at) == ["12", "13"]


def test_a_program_that_has_the_port_of_a_component(proc):
    (proc / "13" / "comm").write_text("squatter\n")
    assert system.listeners(text, str(proc), ports=[6443]) == {"6443": "squatter"}


def test_a_socket_of_systemd_belongs_to_the_service_that_uses_it(proc):
    (proc / "1" / "fd").mkdir(parents=True)
    (proc / "1" / "fd" / "9").symlink_to("socket:[4711]")
    (proc / "1" / "cgroup").write_text("0::/init.scope\n")
    assert system.listeners(text, str(proc))["10248"] == "kubelet.service"


def test_a_real_listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert str(server.getsockname()[1]) in system.listeners(text)


@pytest.mark.skipif(not os.path.exists("/proc/locks"), reason="the kernel shows no locks")
def test_the_holder_of_a_lock(tmp_path):
    path = tmp_path / "lock-frontend"
    with path.open("w") as stream:
        assert system.package_lock(text, [str(tmp_path / "none"), str(path)]) == ""
        fcntl.lockf(stream, fcntl.LOCK_EX)
        assert system.package_lock(text, [str(tmp_path / "none"), str(path)]).endswith(f"(process {os.getpid()})")


def test_a_process_that_waits_for_a_lock_does_not_hold_it(tmp_path):
    path = tmp_path / "lock"
    path.touch()
    inode = path.stat().st_ino
    locks = f"1: POSIX  ADVISORY  WRITE 12 08:01:{inode} 0 EOF\n1: -> POSIX  ADVISORY  WRITE 13 08:01:{inode} 0 EOF\n"
    files = {"/proc/locks": locks, "/proc/12/cgroup": "0::/system.slice/apt-daily-upgrade.service\n"}
    assert (
        system.package_lock(lambda name: files.get(name, ""), [str(path)]) == "apt-daily-upgrade.service (process 12)"
    )
