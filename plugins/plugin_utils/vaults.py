# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the control node, which may be encrypted with ansible-vault."""

from __future__ import annotations

import os
import pathlib
import typing as t

if t.TYPE_CHECKING:
    from ansible.parsing.dataloader import DataLoader

__all__ = ("from_here", "read")


def from_here(path: str) -> str:
    """Return the absolute path of a file that the inventory names from where the user is."""
    return os.path.abspath(os.path.expanduser(path))


def read(loader: DataLoader, path: str) -> tuple[bytes, bool]:
    """Return the content of a file, decrypted, and whether it was encrypted.

    :param path: absolute path.
    :raises AnsibleFileNotFound: there is no such file.
    :raises AnsibleError: it cannot be decrypted.
    :raises OSError: it cannot be read.
    """
    readable = loader.get_real_file(path)
    try:
        return pathlib.Path(readable).read_bytes(), readable != path
    finally:
        # The decrypted copy; other files stay.
        loader.cleanup_tmp_file(readable)
