# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""System users that components run as."""

from __future__ import annotations

import pwd

__all__ = ("create_user", "user_exists")


def user_exists(name: str) -> bool:
    """Return whether the host has a user of this name."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def create_user(name: str) -> list[str]:
    """Return the command that makes a system user, with a group of its name, who cannot log in."""
    nowhere = ["--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"]
    return ["useradd", "--system", "--user-group", *nowhere, name]
