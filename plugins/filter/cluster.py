# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters for playbooks: the release catalogue, certificates and durations as plain data."""

from __future__ import annotations

import functools
import os
import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import catalogue, flags, node_marks, nodes
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.merging import (
    kubeconfig_contexts,
    kubeconfig_merge,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki import expiry


def image_archive(reference: str, directory: str = "") -> str:
    """Return the path of the archive that holds an image in a mirror."""
    return os.path.join(directory, catalogue.image_archive(reference))


def image_names(
    release: str, *, pod_network: str = "flannel", versions: t.Mapping[str, str] | None = None
) -> list[str]:
    """Return the full references of the images that a cluster of a release needs."""
    known = catalogue.read_catalogue()
    return list(catalogue.images(known, release=release, pod_network=pod_network, versions=versions).values())


def release_versions(release: str, *, versions: t.Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the versions of the components of a release."""
    return catalogue.release_versions(catalogue.read_catalogue(), release, versions=versions)


def _reported(function: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
    """Turn the logic's errors into an error of the filter."""

    @functools.wraps(function)
    def wrapper(*arguments: t.Any, **options: t.Any) -> t.Any:
        try:
            return function(*arguments, **options)
        except (HardwayError, ValueError) as error:
            raise AnsibleFilterError(str(error)) from error

    return wrapper


class FilterModule:
    """The filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return the filters by name."""
        functions: dict[str, t.Callable[..., t.Any]] = {
            "command_flags": flags.command_flags,
            "days_until_expiry": expiry.days_until_expiry,
            "duration_seconds": expiry.duration_seconds,
            "image_archive": image_archive,
            "image_names": image_names,
            "kubeconfig_contexts": kubeconfig_contexts,
            "kubeconfig_merge": kubeconfig_merge,
            "node_patch": node_marks.node_patch,
            "release_versions": release_versions,
            "unready_nodes": nodes.unready_nodes,
            "unready_pods": nodes.unready_pods,
        }
        return {name: _reported(function) for name, function in functions.items()}
