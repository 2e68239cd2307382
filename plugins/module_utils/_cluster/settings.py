# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings: the options of all roles' argument specifications, with the values that an inventory gives them.

A setting is declared once, in its role's ``meta/argument_specs.yml``. Everything here works from that.
"""

from __future__ import annotations

import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

__all__ = ("Options", "Settings", "argument_problems", "differences", "options", "settings", "wrong_arguments")

#: Options by name, as an argument specification has them.
Options = dict[str, dict[str, t.Any]]
#: Values by option, as read from the inventory.
Settings = t.Mapping[str, t.Any]

# Settings for which problems.py has a better message than the list of choices.
_EXPLAINED_CHOICES = ("cluster_pod_network", "cluster_kube_proxy_mode")


def options(specifications: t.Iterable[t.Mapping[str, t.Any]]) -> Options:
    """Return the options of all entry points of all roles, by name.

    :param specifications: contents of the roles' ``meta/argument_specs.yml``.
    """
    found: Options = {}
    for specification in specifications:
        for entry_point in specification["argument_specs"].values():
            found.update(entry_point.get("options", {}))
    return found


def _validated(name: str, option: t.Mapping[str, t.Any], value: t.Any) -> tuple[list[str], t.Any]:
    """Return what is wrong with a value, in Ansible's words, and the value as its type has it."""
    left_out = {"options", "choices"} if name in _EXPLAINED_CHOICES else {"options"}
    # Ansible looks for sub-options in what is not a dictionary, too, and fails.
    specification = {key: entry for key, entry in option.items() if key not in left_out}
    result = ArgumentSpecValidator({name: specification}).validate({name: value})
    if "options" in option and not result.error_messages:
        result = ArgumentSpecValidator({name: option}).validate({name: value})
    messages = list(result.error_messages)
    # Ansible makes a list of one text here, and the roles would go through its letters.
    if not messages and isinstance(value, str) and option.get("type") in ("list", "dict"):
        example = f'{{"{name}": ...}}'
        text = "a text" if _has_secrets(option) else f"the text {value!r}"
        messages = [
            f"argument {name!r} is {text}, a {option['type']} is needed; --extra-vars takes it as JSON: -e '{example}'"
        ]
    return messages, result.validated_parameters.get(name)


def _has_secrets(option: t.Mapping[str, t.Any]) -> bool:
    """Whether a value of the option may have a part that is never shown. Ansible's messages do not show such values."""
    return any(entry.get("no_log") or _has_secrets(entry) for entry in option.get("options", {}).values())


def settings(known: Options, values: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the value of every option that has one: the inventory's, else the default of the specification.

    A wrong value does not count, so that everything else can be looked at: :func:`wrong_arguments` says what is wrong
    with it.
    """
    result: dict[str, t.Any] = {name: option["default"] for name, option in known.items() if "default" in option}
    for name in known.keys() & values.keys():
        messages, value = _validated(name, known[name], values[name])
        if not messages:
            result[name] = value
    return result


def wrong_arguments(known: Options, values: t.Mapping[str, t.Any]) -> list[str]:
    """Return what is wrong with the values that one host's variables give to options, in Ansible's words."""
    given = {name: option for name, option in known.items() if name in values}
    return [message for name, option in given.items() for message in _validated(name, option, values[name])[0]]


def argument_problems(errors: t.Mapping[str, t.Iterable[str]]) -> list[str]:
    """Return what is wrong with the roles' variables, each problem once with the hosts that have it.

    :param errors: messages by host.
    """
    hosts: dict[str, list[str]] = {}
    for host, messages in errors.items():
        for message in messages:
            hosts.setdefault(" ".join(message.split()), []).append(host)
    return [f"{', '.join(named)}: {message}" for message, named in hosts.items()]


def differences(wanted: Settings, values: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[str]:
    """Return the settings of the cluster as a whole that single hosts have another value for.

    :param wanted: the cluster's settings.
    :param values: what each host's variables give, by host.
    """
    return [
        f"{host}: {name} is {given[name]!r}, the cluster has {wanted.get(name)!r}; it is a setting of the cluster as a "
        "whole: set it once, in group_vars/all"
        for host, given in values.items()
        for name in given
        if name.startswith("cluster_") and given[name] != wanted.get(name)
    ]
