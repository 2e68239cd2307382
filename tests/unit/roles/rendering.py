# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render what a role puts on a host, for the article's cluster on empty hosts."""

from __future__ import annotations

import pathlib
import typing as t

from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import identity
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import computed, empty

ROLES = pathlib.Path(__file__).resolve().parents[3] / "roles"


class Role:
    """The variables of a role on a host, with its files.

    :param host: the host's name in the inventory.
    :param hosts: variables of single hosts.
    :param parts: hosts by part, where they are others than the article's.
    :param pki: the identity of the PKI directory.
    :param own: variables that the role keeps to itself, by their names without its prefix.
    :param variables: settings of all hosts.
    """

    def __init__(
        self,
        name: str,
        host: str,
        *,
        hosts: t.Mapping[str, t.Mapping[str, t.Any]] | None = None,
        parts: t.Mapping[str, list[str]] | None = None,
        pki: identity.PkiIdentity | None = None,
        own: t.Mapping[str, t.Any] | None = None,
        **variables: t.Any,
    ) -> None:
        self._name = name
        self._directory = ROLES / name
        loader = DataLoader()
        found = computed(empty(), hosts=hosts, parts=parts, pki=pki, **variables)
        seen: dict[str, t.Any] = {"inventory_hostname": host, "cluster": {**found, "check_mode": False}}
        for kind in ("defaults", "vars"):
            path = self._directory / kind / "main.yml"
            if path.exists():
                seen |= loader.load_from_file(str(path), trusted_as_template=True)
        private = {f"__{name}_{key}": value for key, value in (own or {}).items()}
        self._templar = Templar(loader=loader, variables={**seen, **variables, **private})

    def value(self, name: str) -> t.Any:
        """Return a variable with its templates filled in."""
        return self._templar.template(trust_as_template("{{ " + name + " }}"))

    def own(self, name: str) -> t.Any:
        """Return a variable that the role keeps to itself, by its name without the role's prefix."""
        return self.value(f"__{self._name}_{name}")

    def flags(self) -> dict[str, t.Any]:
        """Return the flags of the role's program, with those of the user; None for one that is left out."""
        return t.cast(dict[str, t.Any], {**self.own("flags"), **self.value(f"{self._name}_extra_flags")})

    def files(self) -> dict[str, str]:
        """Return the files that the role's first task renders, by their path on the host."""
        path = self._directory / "tasks" / "main.yml"
        task = DataLoader().load_from_file(str(path), trusted_as_template=True)[0]
        found = {}
        for entry in task["hardway.kubernetes.component"]["files"]:
            # A whole entry may be a template.
            file = self._templar.template(entry) if isinstance(entry, str) else entry
            if "template" in file:
                found[str(file["path"])] = self.template(file["template"])
            elif "content" in file:
                found[str(file["path"])] = str(self._templar.template(trust_as_template(str(file["content"]))))
            elif file.get("state", "file") == "file":
                found[str(file["path"])] = ""
        return found

    def template(self, name: str) -> str:
        """Return a file of the role's templates, filled in."""
        return self.filled_in((self._directory / "templates" / name).read_text(encoding="utf-8"))

    def filled_in(self, text: str) -> str:
        """Return a part of a file of the role's templates, filled in."""
        return str(self._templar.template(trust_as_template(text)))
