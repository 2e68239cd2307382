# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long RSA-2048 pairs take, for the article's nine and for a hundred workers.

    (a) the cfssl command line in a shell loop
    (b) community.crypto: privatekey, CSR and certificate in loops (left out, and said so, where it is not installed)
    (c) one x509_cfssl_compat task, then the same task again
    (d) the bare keys and signatures with `cryptography`, on one thread and on all cores
    (e) an Ansible run with a module that imports `cryptography` and does nothing
    (z) an Ansible run with one empty task

Everything alternates in one run. Prints every median in seconds, and whether the targets are met: c again at most
z + 0.4 s; c at most z + 1.2 d; at 100 pairs c ahead of a by 2 times and of b by 30. Where keys take less time than the
start of the module itself, c at most c again + 1.2 d says whether the making of certificates takes what it should.

Then growth: the same task, and again, for up to a thousand pairs. Their keys are ECDSA's, which take no time, so that
what is seen is the module's own share. It is processor time, which other programs disturb less. Targets: it grows with
the number of pairs and not faster, and no process ever takes 200 MB.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import datetime as dt
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "lab"))

from cache import cache_directory

CSR = {"key": {"algo": "rsa", "size": 2048}, "names": [{"C": "US", "L": "Portland", "O": "Kubernetes", "ST": "Oregon"}]}
PROFILE = {"usages": ["signing", "key encipherment", "server auth", "client auth"], "expiry": "8760h"}
CONFIG = {"signing": {"default": {"expiry": "8760h"}, "profiles": {"kubernetes": PROFILE}}}
# The imports of every module that makes keys and certificates.
IMPORTS = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

AnsibleModule({}).exit_json()
"""
CFSSL_VERSION = "1.6.5"


def seconds(function: t.Callable[[], object]) -> float:
    begun = time.monotonic()
    function()
    return time.monotonic() - begun


def run(command: list[str], directory: pathlib.Path) -> None:
    environment = os.environ | {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCALHOST_WARNING": "false",
    }
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-3000:]}")


def playbook(directory: pathlib.Path, *tasks: dict[str, t.Any]) -> list[str]:
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": list(tasks)}
    play["vars"] = {"ansible_python_interpreter": sys.executable}
    with tempfile.NamedTemporaryFile("w", dir=directory, suffix=".yml", delete=False) as stream:
        yaml.safe_dump([play], stream)
    return ["ansible-playbook", "-i", "localhost,", stream.name]


def imports(directory: pathlib.Path) -> list[str]:
    (directory / "library").mkdir(exist_ok=True)
    (directory / "library" / "imports.py").write_text(IMPORTS)
    return playbook(directory, {"imports": {}})


def cfssl(directory: pathlib.Path, count: int) -> list[str]:
    programs = cache_directory() / "cfssl" / CFSSL_VERSION
    if not (programs / "cfssl").exists():
        sys.exit(f"{programs}/cfssl is missing: `make oracles` builds it")
    (directory / "config.json").write_text(json.dumps(CONFIG))
    for index in range(count):
        (directory / f"w{index}.json").write_text(json.dumps({"CN": f"system:node:w{index}", **CSR}))
    (directory / "ca.json").write_text(json.dumps({"CN": "Kubernetes", **CSR}))
    script = f"""
        set -e
        PATH={programs}:$PATH
        cfssl gencert -initca ca.json | cfssljson -bare ca
        for name in $(seq 0 {count - 1}); do
            cfssl gencert -ca=ca.pem -ca-key=ca-key.pem -config=config.json -hostname=w$name,10.0.0.1 \\
                -profile=kubernetes w$name.json | cfssljson -bare w$name
        done
    """
    return ["bash", "-c", script]


def ours(directory: pathlib.Path, count: int, key: dict[str, t.Any] | None = None) -> list[str]:
    csr = {**CSR, "key": key or CSR["key"]}
    arguments = {
        "directory": str(directory / "pki"),
        "config": CONFIG,
        "authorities": [{"name": "ca", "csr": {"CN": "Kubernetes", **csr}}],
        "certificates": [
            {
                "name": f"w{index}",
                "ca": "ca",
                "profile": "kubernetes",
                "hosts": [f"w{index}", "10.0.0.1"],
                "csr": {"CN": f"system:node:w{index}", **csr},
            }
            for index in range(count)
        ],
    }
    return playbook(directory, {"hardway.kubernetes.x509_cfssl_compat": arguments})


def community(directory: pathlib.Path, count: int) -> list[str]:
    (directory / "pki").mkdir(exist_ok=True)
    base = f"{directory}/pki/{{{{ item }}}}"
    names = [f"w{index}" for index in range(count)]
    usages = {"key_usage": ["digitalSignature", "keyEncipherment"], "extended_key_usage": ["serverAuth", "clientAuth"]}
    ca = f"{directory}/pki/ca"
    return playbook(
        directory,
        {"community.crypto.openssl_privatekey": {"path": f"{ca}-key.pem", "size": 2048}},
        {
            "community.crypto.openssl_csr": {
                "path": f"{ca}.csr", "privatekey_path": f"{ca}-key.pem", "common_name": "Kubernetes",
                "basic_constraints": ["CA:TRUE"], "basic_constraints_critical": True,
                "key_usage": ["keyCertSign", "cRLSign"],
            }
        },
        {
            "community.crypto.x509_certificate": {
                "path": f"{ca}.pem", "csr_path": f"{ca}.csr", "privatekey_path": f"{ca}-key.pem",
                "provider": "selfsigned",
            }
        },
        {"community.crypto.openssl_privatekey": {"path": f"{base}-key.pem", "size": 2048}, "loop": names},
        {
            "community.crypto.openssl_csr": {
                "path": f"{base}.csr", "privatekey_path": f"{base}-key.pem", "common_name": "system:node:{{ item }}",
                "subject_alt_name": ["DNS:{{ item }}", "IP:10.0.0.1"], **usages,
            },
            "loop": names,
        },
        {
            "community.crypto.x509_certificate": {
                "path": f"{base}.pem", "csr_path": f"{base}.csr", "provider": "ownca", "ownca_path": f"{ca}.pem",
                "ownca_privatekey_path": f"{ca}-key.pem",
            },
            "loop": names,
        },
    )  # fmt: skip


def bare(count: int, threads: int) -> None:
    """Keys and signatures, and nothing else."""
    now = dt.datetime.now(dt.timezone.utc)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])

    def key() -> rsa.RSAPrivateKey:
        made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        made.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        return made

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        keys = list(pool.map(lambda _index: key(), range(count + 1)))

        def sign(public: rsa.RSAPrivateKey) -> None:
            builder = x509.CertificateBuilder(name, name, public.public_key(), 1, now, now + dt.timedelta(days=1))
            builder.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

        list(pool.map(sign, keys))


def measure(count: int, rounds: int, with_community: bool) -> dict[str, float]:
    found: dict[str, list[float]] = {}

    def add(name: str, function: t.Callable[[], object]) -> None:
        found.setdefault(name, []).append(seconds(function))

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for turn in range(rounds):
        with tempfile.TemporaryDirectory() as directory:
            places = {name: pathlib.Path(directory, name) for name in "abcez"}
            for place in places.values():
                place.mkdir()
            empty = playbook(places["z"], {"ansible.builtin.meta": "noop"}, {"ansible.builtin.ping": {}})
            add("z", lambda empty=empty, place=places["z"]: run(empty, place))
            command = imports(places["e"])
            add("e", lambda command=command, place=places["e"]: run(command, place))
            command = cfssl(places["a"], count)
            add("a", lambda command=command, place=places["a"]: run(command, place))
            command = ours(places["c"], count)
            add("c", lambda command=command, place=places["c"]: run(command, place))
            add("c again", lambda command=command, place=places["c"]: run(command, place))
            add("d one thread", lambda: bare(count, 1))
            add("d all cores", lambda: bare(count, cores))
            # It takes minutes, so that one round has to do.
            if with_community and turn == 0:
                command = community(places["b"], count)
                add("b", lambda command=command, place=places["b"]: run(command, place))
                add("b again", lambda command=command, place=places["b"]: run(command, place))
    return {name: statistics.median(values) for name, values in found.items()}


def judge(count: int, figures: dict[str, float]) -> list[tuple[str, bool]]:
    empty, task, again = figures["z"], figures["c"], figures["c again"]
    keys = 1.2 * figures["d all cores"]
    checks = [
        (f"{count}: c again <= z + 0.4 s", again <= empty + 0.4),
        (f"{count}: c <= c again + 1.2 d", task <= again + keys),
        (f"{count}: c <= z + 1.2 d ({task - empty - keys:+.2f} s)", task <= empty + keys),
    ]
    if count >= 100:
        checks.append((f"{count}: a is {figures['a'] / task:.1f} times c, 2 wanted", figures["a"] >= 2 * task))
        if "b" in figures:
            checks.append((f"{count}: b is {figures['b'] / task:.1f} times c, 30 wanted", figures["b"] >= 30 * task))
    return checks


def processor_seconds(command: list[str], directory: pathlib.Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(command, directory)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def growth(sizes: list[int], rounds: int) -> list[tuple[str, bool]]:
    """Seconds for each size beyond an empty run; and whether the largest costs no more per pair than the smallest."""
    found: dict[tuple[str, int], list[float]] = {}
    for _turn in range(rounds):
        with tempfile.TemporaryDirectory() as directory:
            empty = pathlib.Path(directory, "empty")
            empty.mkdir()
            nothing = processor_seconds(playbook(empty, {"ansible.builtin.ping": {}}), empty)
            for size in sizes:
                place = pathlib.Path(directory, str(size))
                place.mkdir()
                command = ours(place, size, {"algo": "ecdsa", "size": 256})
                for name in ("c", "c again"):
                    found.setdefault((name, size), []).append(processor_seconds(command, place) - nothing)
    medians = {key: statistics.median(values) for key, values in found.items()}
    print(f"growth, medians of {rounds} rounds in seconds of processor time beyond an empty run")
    for (name, size), value in sorted(medians.items()):
        print(f"  {name:8} {size:5} pairs {value:8.2f}   {1000 * value / size:6.2f} ms each")
    small, large = min(sizes), max(sizes)
    checks = []
    for name in ("c", "c again"):
        times = medians[name, large] / medians[name, small]
        # In proportion, and a fifth for the noise; what is much more than that is a loop within a loop.
        most = 1.2 * large / small
        text = f"{name}: {large} pairs take {times:.1f} times what {small} take, at most {most:.1f} wanted"
        checks.append((text, times <= most))
    return checks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, nargs="+", default=[9, 100])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--growth", type=int, nargs="+", default=[100, 300, 1000], metavar="PAIRS")
    options = parser.parse_args()
    listed = subprocess.run(
        ["ansible-galaxy", "collection", "list"], capture_output=True, text=True, check=False
    ).stdout
    with_community = "community.crypto " in listed
    if not with_community:
        print("(b) is left out: the collection community.crypto is not installed", file=sys.stderr)
    if not shutil.which("ansible-playbook"):
        sys.exit("ansible-playbook is missing: run `make setup`")
    met = True
    for count in options.pairs:
        figures = measure(count, options.rounds, with_community)
        print(f"{count} pairs, medians of {options.rounds} rounds in seconds")
        for name in sorted(figures):
            print(f"  {name:14} {figures[name]:8.2f}")
        for text, good in judge(count, figures):
            print(f"  {'met   ' if good else 'MISSED'} {text}")
            met = met and good
    if len(options.growth) > 1:
        for text, good in growth(options.growth, min(options.rounds, 3)):
            print(f"  {'met   ' if good else 'MISSED'} {text}")
            met = met and good
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"  {'met   ' if memory < 200 else 'MISSED'} the largest process took {memory:.0f} MB, less than 200 wanted")
    sys.exit(0 if met and memory < 200 else 1)


if __name__ == "__main__":
    main()
