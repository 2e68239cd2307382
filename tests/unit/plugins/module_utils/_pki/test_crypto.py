# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Missing parts of `cryptography` and of the control node; importing changes nothing for others."""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
import textwrap

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils import _pki
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.issue import _cores
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.names import build_name, name_text
from cryptography.x509 import name as private

MODULES = [entry.name for entry in pkgutil.iter_modules(_pki.__path__, f"{_pki.__name__}.")]
LONG = ((("2.5.4.6", "DEU"),), (("2.5.4.3", "x" * 70),))


@pytest.mark.filterwarnings("error")
def test_names_of_any_length_and_their_string_types():
    assert name_text(build_name(LONG)) == f"C=DEU, CN={'x' * 70}"
    kinds = [build_name(((("2.5.4.3", text),),)).public_bytes()[11] for text in ("O'Brien (1), a+b", "a*b", "ü")]
    assert kinds == [0x13, 0x0C, 0x0C]  # PrintableString, UTF8String


@pytest.mark.parametrize("what", ["_ASN1Type", "NameAttribute"])
def test_private_names_that_are_gone_are_named(monkeypatch, what):
    if what == "_ASN1Type":
        monkeypatch.delattr(private, "_ASN1Type")
    else:
        monkeypatch.setattr("cryptography.x509.NameAttribute", lambda oid, value: None)
    with pytest.raises(PkiError, match=r"^cryptography [0-9.]+ does not let the string type of a name be chosen"):
        build_name(LONG)


def test_cores_where_there_is_no_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # macOS
    assert _cores() == os.cpu_count()


@pytest.mark.parametrize("name", MODULES)
def test_all_is_true(name):
    module = importlib.import_module(name)
    missing = [entry for entry in module.__all__ if not hasattr(module, entry)]
    assert not missing


WITHOUT = """
    import importlib, sys, warnings
    sys.path[:0] = {path!r}
    before = list(warnings.filters)
    {first}
    for name in {modules!r}:
        importlib.import_module(name)
    assert warnings.filters == before
    error = sys.modules[{requirements!r}].CRYPTOGRAPHY_ERROR
    print(type(error).__name__)
"""


@pytest.mark.parametrize(
    ("first", "error"), [("", "NoneType"), ("sys.modules['cryptography'] = None", "ModuleNotFoundError")]
)
def test_importing_needs_nothing_and_changes_nothing(first, error):
    requirements = f"{_pki.__name__}.requirements"
    program = WITHOUT.format(path=sys.path, first=first, modules=MODULES, requirements=requirements)
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == (f"{error}\n", 0), done.stderr
