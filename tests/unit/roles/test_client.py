# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the role client writes its own kubeconfig, and when it merges into one that is there."""

from __future__ import annotations

import base64
import pathlib
import re
import typing as t

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.merging import kubeconfig_contexts

ROLE = pathlib.Path(__file__).resolve().parents[3] / "roles" / "client"
OWN = {"clusters": [], "users": [], "contexts": [{"name": "thw", "context": {}}], "current-context": "thw"}
OTHER = {"name": "prod", "context": {"cluster": "prod", "user": "admin"}}


def load(file: str) -> t.Any:
    return DataLoader().load_from_file(str(ROLE / file), trusted_as_template=True)


CONTEXTS = re.compile(r"\w+ \| hardway\.kubernetes\.kubeconfig_contexts")

# The role's own name of what it reads on the host.
FOUND = load("tasks/main.yml")[0]["register"]
(MERGES,) = (name for name in load("vars/main.yml") if name.endswith("_merges"))


@pytest.fixture
def merges(tmp_path):
    """Return whether the role merges into this file of the host."""

    def merges(text: str | None, *, made: bool = True) -> bool:
        if made:
            (tmp_path / "remote-admin.kubeconfig").write_text(yaml.safe_dump(OWN))
        found = {"failed": True, "msg": "file not found: /root/.kube/config"} if text is None else {"content": text}
        if text is not None:
            found["content"] = base64.b64encode(text.encode()).decode()
        spec = {"name": "thw", "pki_directory": str(tmp_path)}
        variables = {**load("vars/main.yml"), "cluster": {"spec": spec}, FOUND: found}
        variables |= {"found_contexts": kubeconfig_contexts(text or "")}
        # Without the loader of collections, which a whole run of Ansible sets up, its filters are not known.
        for name, value in variables.items():
            if CONTEXTS.search(str(value)):
                variables[name] = trust_as_template(CONTEXTS.sub("found_contexts", str(value)))
        return bool(Templar(loader=DataLoader(), variables=variables).template(variables[MERGES]))

    return merges


@pytest.mark.parametrize(
    ("text", "merged"),
    [
        (None, False),
        ("", False),
        ("# a comment\n", False),
        (yaml.safe_dump(OWN), False),
        (yaml.safe_dump(OWN) + "# another hand\n", False),
        (yaml.safe_dump({**OWN, "contexts": None}), False),
        (yaml.safe_dump({**OWN, "contexts": [OTHER]}), True),
        (yaml.safe_dump({**OWN, "contexts": [OTHER, *OWN["contexts"]]}), True),
    ],
)
def test_only_a_file_with_other_contexts_is_merged_into(merges, text, merged):
    assert merges(text) is merged


def test_in_check_mode_there_may_be_nothing_to_merge_yet(merges):
    assert merges(yaml.safe_dump({"contexts": [OTHER]}), made=False) is False
