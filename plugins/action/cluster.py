# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compute the cluster as one value: what is wanted, what was found, and what a run does about the difference.

Everything that needs Ansible is here: argument specifications, variables and readings are collected and handed to
``module_utils/_cluster`` as plain data.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import pathlib
import typing as t

import yaml
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import value
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.catalogue import Catalogue, read_catalogue
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.identity import (
    FILES,
    WEAVE_PASSWORD,
    PkiIdentity,
    pki_identity,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.registries import registry_files
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.releases import chapters
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.settings import (
    Options,
    options,
    settings,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.keys import PrivateKey, public_bytes
from ansible_collections.hardway.kubernetes.plugins.plugin_utils import vaults
from ansible_collections.hardway.kubernetes.plugins.plugin_utils.run_notes import changed_files

# The task sets the variable to false, and only --extra-vars win over that.
_BECOME = (
    "ansible_become: --extra-vars sets it, and with it tasks of the control node become root too; leave it out: the "
    "playbooks become root on the hosts. For one group of hosts set it in the inventory"
)
_ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"


@functools.cache
def _known_options() -> Options:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    specifications = sorted(_ROLES.glob("*/meta/argument_specs.yml"))
    return options(yaml.load(path.read_text(encoding="utf-8"), Loader=loader) for path in specifications)


def _plain(data: t.Any) -> t.Any:
    """Return data of the inventory without what Ansible attaches to it."""
    return json.loads(json.dumps(data, default=str))


def _absolute(name: str, value: t.Any) -> t.Any:
    """Return the PKI directory from where the user is; tasks would start from the playbook or from the role."""
    known = name == "cluster_pki_directory" and isinstance(value, str) and value
    return os.path.abspath(os.path.expanduser(value)) if known else value


def _public_half(pem: str | None) -> str | None:
    """Return the SHA-256 of the public half of a key; None for one that cannot be read."""
    try:
        return hashlib.sha256(public_bytes(PrivateKey.load((pem or "").encode("utf-8")).public)).hexdigest()
    except (ValueError, NameError):
        # Another kind of key, or a control node without cryptography: its certificate is compared instead.
        return None


def _pki_directory(path: t.Any, password: str | None = None) -> PkiIdentity | None:
    """Return the identity of the PKI directory, which the role ca fills later; None where it is not known.

    :param password: the decrypted password of Weave Net, where there is one.
    """
    if not path:
        return None
    texts: dict[str, str | None] = {}
    for name in FILES:
        try:
            texts[name] = pathlib.Path(str(path), name).read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            texts[name] = None
    if password is not None:
        texts[WEAVE_PASSWORD] = password
    return pki_identity(str(path), texts, service_account=_public_half(texts.get("service-account-key.pem")))


class ActionModule(ActionBase):
    """Compute the value on the control node. No host is asked."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Return ``spec``, ``status``, ``plan`` and ``check_mode``."""
        task_vars = task_vars or {}
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec({"readings": {"type": "str", "required": True}})
        known = _known_options()
        own = self._own(known, task_vars)
        wanted = settings(known, own)
        parts = wanted.get("cluster_hosts", {})
        names = list(dict.fromkeys(host for part in parts.values() for host in part if host in task_vars["hostvars"]))
        hosts = {host: task_vars["hostvars"][host] for host in names}
        in_run = [host for host in task_vars["ansible_play_hosts_all"] if host in hosts]
        catalogue: Catalogue = read_catalogue()
        directory = str(wanted.get("cluster_pki_directory") or "")
        encryption = os.path.join(directory, "encryption-config.yaml")
        text = self._decrypted(encryption)
        host_variables = {host: self._variables(variables, known) for host, variables in hosts.items()}
        try:
            computed = value.cluster(
                known=known,
                values=own,
                host_variables=host_variables,
                readings={host: self._reading(hosts[host], str(arguments["readings"])) for host in in_run},
                catalogue=catalogue,
                encryption=None if text is None else (encryption, text),
                pki=_pki_directory(directory, self._decrypted(os.path.join(directory, WEAVE_PASSWORD))),
                runs=chapters(task_vars.get("ansible_run_tags", ["all"]), task_vars.get("ansible_skip_tags", [])),
                made=self._made(directory),
                registry_files=self._contents(registry_files(known, host_variables.values())),
            )
        except HardwayError as error:
            raise AnsibleActionFail(str(error)) from error
        if boolean(task_vars.get("ansible_become", False), strict=False):
            computed["plan"]["problems"].append(_BECOME)
        if computed["spec"]:
            api = computed["spec"]["api"]
            api["client_python"] = self._python(api["client_host"], task_vars)
        result.update(computed, changed=False, check_mode=self._task.check_mode)
        return result

    def _made(self, directory: str) -> list[str]:
        """Return the files that an earlier task of this run would have made in the PKI directory, in check mode."""
        noted = changed_files() if self._task.check_mode else []
        return [os.path.basename(path) for path in noted if os.path.dirname(path) == directory]

    def _contents(self, paths: list[str]) -> dict[str, str | None]:
        """Return the contents of files by path, from where the user is."""
        return {path: self._decrypted(vaults.from_here(path)) for path in paths}

    def _decrypted(self, path: str) -> str | None:
        """Return the content of a file, which may be a vault; None where there is none."""
        if not os.path.isfile(path):
            return None
        return vaults.read(self._loader, path)[0].decode("utf-8", "replace")

    @staticmethod
    def _python(host: str, task_vars: dict[str, t.Any]) -> str:
        """Return the Python of the host that talks to the API: on the control node the one that runs Ansible."""
        if host == "localhost":
            return str(task_vars["ansible_playbook_python"])
        variables = task_vars["hostvars"]
        return str(variables[host].get("ansible_python_interpreter", "auto")) if host in variables else "auto"

    def _own(self, known: Options, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the cluster's values: the inventory's and this role's defaults."""
        found = {}
        for name in known.keys() & task_vars.keys():
            try:
                found[name] = _absolute(name, _plain(self._templar.template(task_vars[name])))
            except AnsibleError:
                # See below. The settings of the role cluster itself must be readable.
                if name.startswith("cluster_"):
                    raise
        return found

    def _variables(self, variables: t.Mapping[str, t.Any], known: Options) -> dict[str, t.Any]:
        found = {}
        for name in (*known, "node_address", "ansible_host"):
            try:
                if name in variables:
                    found[name] = _absolute(name, _plain(variables[name]))
            except AnsibleError:
                # It refers to what its role alone knows: that role will look at it.
                continue
        return found

    def _reading(self, variables: t.Mapping[str, t.Any], name: str) -> dict[str, t.Any]:
        """Return what this run read of a host. A fact cache, which may hold an older reading, has no part in it."""
        registered = variables.get(name) or {}
        return t.cast(dict[str, t.Any], _plain(registered.get("reading") or {}))
