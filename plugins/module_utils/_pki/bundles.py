# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put the certificates of several files into one, for what trusts several authorities."""

from __future__ import annotations

import typing as t

__all__ = ("bundle",)


def bundle(files: t.Iterable[bytes]) -> bytes:
    """Return the contents of several PEM files as that of one, each content once.

    A single content is returned as it is.

    :param files: contents, in the order in which they are written.
    """
    contents = list(dict.fromkeys(files))
    return contents[0] if len(contents) == 1 else b"".join(content.rstrip() + b"\n" for content in contents)
