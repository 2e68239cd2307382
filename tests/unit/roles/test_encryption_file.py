# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The encryption configuration that the role ca creates is one that API servers accept."""

from __future__ import annotations

import base64
import re

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.encryption import (
    encryption_problems,
    encryption_warnings,
    setting_differences,
)
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    KNOWN,
    ROOT,
    settings,
)

PATH = "pki/encryption-config.yaml"
SECRET = base64.b64encode(b"k" * 32).decode()


@pytest.mark.parametrize("provider", KNOWN["ca_encryption_provider"]["choices"])
def test_the_configuration_that_the_role_creates(provider):
    path = ROOT / "roles" / "ca" / "templates" / "encryption-config.yaml.j2"
    # Not a random key.
    source = re.sub(r"\{\{ lookup\(.*?\}\}", SECRET, path.read_text())
    loader = DataLoader()
    wanted = settings(ca_encryption_provider=provider, ca_encryption_resources=["secrets", "widgets.example.com"])
    text = str(Templar(loader=loader, variables=wanted).template(trust_as_template(source)))
    assert encryption_problems(PATH, text) == encryption_warnings(PATH, text) == []
    assert setting_differences(PATH, text, wanted, exists=True) == []
    (entry,) = yaml.safe_load(text)["resources"]
    assert entry["resources"] == ["secrets", "widgets.example.com"]
    assert [next(iter(one)) for one in entry["providers"]] == [provider, "identity"]
    assert len(base64.b64decode(entry["providers"][0][provider]["keys"][0]["secret"])) == 32
