# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that turn the inventory, the release catalogue, certificates and durations into plain data."""

from __future__ import annotations

import functools
import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import catalogue as _catalogue
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import etcd as _etcd_plan
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import problems as _preflight
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import topology as _plan
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki import expiry as _x509_filters


def _reported(function: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
    """Turn the logic's ValueError into an error of the filter."""

    @functools.wraps(function)
    def wrapper(*arguments: t.Any, **options: t.Any) -> t.Any:
        try:
            return function(*arguments, **options)
        except ValueError as error:
            raise AnsibleFilterError(str(error)) from error

    return wrapper


class FilterModule:
    """The filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return the filters by name."""
        functions: dict[str, t.Callable[..., t.Any]] = {
            "apiserver_addresses": _plan.apiserver_addresses,
            "argument_problems": _preflight.argument_problems,
            "certificate_plan": _plan.certificate_plan,
            "cluster_problems": _preflight.cluster_problems,
            "cluster_warnings": _preflight.cluster_warnings,
            "days_until_expiry": _x509_filters.days_until_expiry,
            "duration_seconds": _x509_filters.duration_seconds,
            "etcd_initial_cluster": _plan.etcd_initial_cluster,
            "etcd_membership": _etcd_plan.etcd_membership,
            "etcd_surplus": _etcd_plan.etcd_surplus,
            "host_problems": _preflight.host_problems,
            "host_urls": _plan.host_urls,
            "image_name": _catalogue.image_name,
            "image_names": _catalogue.image_names,
            "kubeconfig_plan": _plan.kubeconfig_plan,
            "program_plan": _catalogue.program_plan,
            "release_versions": _catalogue.release_versions,
            "service_address": _plan.service_address,
            "topology": _plan.topology,
            "unready_nodes": _plan.unready_nodes,
        }
        return {name: _reported(function) for name, function in functions.items()}
