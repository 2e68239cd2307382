# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out whether packets from this host reach ports of others, whether or not a program listens there."""

from __future__ import annotations

import concurrent.futures
import socket
import typing as t

__all__ = ("unreached",)

_MOST = 64


def _problem(address: str, port: int, timeout: float) -> str:
    """Return why a port cannot be reached, empty where it can be."""
    try:
        socket.create_connection((address, port), timeout=timeout).close()
    except (ConnectionRefusedError, ConnectionResetError):
        # The host itself answers that nothing listens: packets pass.
        return ""
    except socket.timeout:
        return f"no answer within {timeout:g} s"
    except OSError as error:
        return error.strerror or str(error)
    return ""


def unreached(targets: t.Sequence[t.Mapping[str, t.Any]], *, timeout: float) -> list[str]:
    """Return the targets that cannot be reached, each in words with the reason. All are tried at the same time.

    :param targets: ``address`` (or name), ``port`` and ``words``, which say what cannot be reached.
    :param timeout: seconds to wait for an answer.
    """
    if not targets:
        return []
    with concurrent.futures.ThreadPoolExecutor(min(len(targets), _MOST)) as pool:
        problems = list(pool.map(lambda each: _problem(str(each["address"]), int(each["port"]), timeout), targets))
    return [f"{each['words']}: {problem}" for each, problem in zip(targets, problems) if problem]
