# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the commands of README.md are read that the part "own machines" runs."""

from __future__ import annotations

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "lab" / "own_machines"))

from readme_steps import steps

SECTION = """# Title

    make lab

## On machines of your own

Text, and `code`.

    python3 -m venv .venv
    cp -r a 'b#c'     # then edit it
    echo "# stays"

More.

    other block

## Next

    make more
"""


def test_the_first_block_of_the_section_is_read_without_remarks() -> None:
    assert steps(SECTION) == ["python3 -m venv .venv", "cp -r a 'b#c'", 'echo "# stays"']


def test_the_readme_leads_from_nothing_to_a_checked_cluster() -> None:
    found = steps((ROOT / "README.md").read_text(encoding="utf-8"))
    assert found[0].startswith("python3 -m venv")
    playbooks = [line.split()[1] for line in found if line.startswith("ansible-playbook ")]
    assert playbooks == ["playbooks/plan.yml", "playbooks/site.yml", "playbooks/smoke.yml"]
    assert all((ROOT / name).is_file() for name in playbooks)
    # The part "own machines" writes the addresses behind this step.
    assert [line for line in found if "inventories/example" in line] == ["cp -r inventories/example inventories/mine"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# Title\n", "README.md has no section 'On machines of your own'"),
        ("## On machines of your own\n\nText.\n\n## Next\n\n    make\n", "there is no block of commands"),
    ],
)
def test_a_readme_without_them_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        steps(text)
