# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that the inventory gives to container images, checked as containerd reads them."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.catalogue import Catalogue
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.settings import Settings

__all__ = ("REGISTRY", "image_problems")

#: The part of an image's name before the first slash is a registry where it has a dot or a port.
REGISTRY = r"(?:(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?|[A-Za-z0-9-]+:\d{1,5})"
# A registry; a path; and a tag, a digest or both.
_REFERENCE = re.compile(
    REGISTRY + r"(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)+"
    r"(?=[:@])(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?",
    re.ASCII,
)


def image_problems(settings: Settings, catalogue: Catalogue) -> list[str]:
    """Return what is wrong with ``cluster_images``, one sentence each."""
    problems = []
    known, names, digests = catalogue["images"], settings["cluster_images"], settings["cluster_image_digests"]
    for image, name in names.items() if isinstance(names, t.Mapping) else ():
        if image not in known:
            problems.append(
                f"cluster_images: image {image!r} is not in the release catalogue; known: {', '.join(sorted(known))}"
            )
        elif not _REFERENCE.fullmatch(str(name).replace("{version}", "1.0.0")):
            problems.append(
                f"cluster_images.{image}: {name!r} is not the name of an image; allowed: REGISTRY/PATH:TAG, in which "
                "{version} stands for the version, such as registry.example.com/" + f"{image}:{{version}}"
            )
        elif "@" in str(name) and image in digests:
            problems.append(
                f"cluster_images.{image} has a digest, and cluster_image_digests has one too; take one of them out"
            )
    return problems
