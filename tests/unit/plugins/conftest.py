# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps apart what runs on the control node and what runs on hosts, in one process."""

from __future__ import annotations

import pytest
from ansible.module_utils import _internal


@pytest.fixture(autouse=True)
def _modules_run_on_a_host(request, monkeypatch):
    """Tests of actions and filters import Ansible's own half, and a module's warnings would then go to its screen."""
    if request.path.parent.name == "modules":
        monkeypatch.setattr(_internal, "is_controller", False)
