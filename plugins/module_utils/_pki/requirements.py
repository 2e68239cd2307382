# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check for cryptography, the only library that is needed."""

from __future__ import annotations

__all__ = ("CRYPTOGRAPHY", "CRYPTOGRAPHY_ERROR")

CRYPTOGRAPHY = "cryptography >= 42.0.0"
# The reason why cryptography cannot be used; None where it can. The other modules here then lack its names, so that
# their callers check this first.
CRYPTOGRAPHY_ERROR: ImportError | None = None
try:
    from cryptography import x509

    # The first release with time-zone aware dates in certificates.
    x509.Certificate.not_valid_after_utc  # noqa: B018
except ImportError as _error:
    CRYPTOGRAPHY_ERROR = _error
except AttributeError as _error:
    CRYPTOGRAPHY_ERROR = ImportError(f"cryptography is too old: {_error}")
