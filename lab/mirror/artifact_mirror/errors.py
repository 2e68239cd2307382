# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error of this program: a sentence for the person who runs it."""

from __future__ import annotations

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError

__all__ = ("MirrorError",)


class MirrorError(HardwayError):
    """Something the user must know: what failed, where, and what to do next."""
