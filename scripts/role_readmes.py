# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the tables of variables in the roles' README.md (the lab's, too) from their argument specs.

    scripts/role_readmes.py          write them
    scripts/role_readmes.py --check  say which are out of date, and fail if one is

The text around a table is written by hand; the table stands between two marks.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import re
import sys
import typing as t

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[1]
BEGIN = "<!-- variables: written by scripts/role_readmes.py -->"
END = "<!-- end of variables -->"


def markdown(text: str | list[str]) -> str:
    """Return documentation markup as Markdown for a cell of a table."""
    joined = text if isinstance(text, str) else " ".join(text)
    joined = re.sub(r"\b[CEVO]\(([^()]*(?:\([^()]*\)[^()]*)*)\)", r"`\1`", joined)
    joined = re.sub(r"\b[MP]\(([^()#]*)(?:#\w+)?\)", r"`\1`", joined)
    return " ".join(joined.split()).replace("|", "\\|")


def shown(value: t.Any) -> str:
    """Return a value as one writes it in YAML, on one line."""
    if isinstance(value, str):
        return f"`{value}`" if value else '`""`'
    return f"`{json.dumps(value)}`"


def kind(option: dict[str, t.Any]) -> str:
    """Return the type of an option, in words."""
    return f"list of {option['elements']}" if option["type"] == "list" else str(option["type"])


def rows(options: dict[str, dict[str, t.Any]], prefix: str = "") -> t.Iterator[str]:
    """Yield the table's rows, those of nested options below their parent."""
    for name, option in options.items():
        description = markdown(option["description"])
        if option.get("choices"):
            description += f" One of {', '.join(shown(choice) for choice in option['choices'])}."
        default = shown(option["default"]) if "default" in option else ""
        yield f"| `{prefix}{name}` | {kind(option)} | {default} | {description} |"
        yield from rows(option.get("options", {}), f"{prefix}{name}.")


def table(role: pathlib.Path) -> str:
    """Return the part of a role's README between the marks."""
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    head = ["| Variable | Type | Default | Meaning |", "|---|---|---|---|"]
    return "\n".join([*head, *rows(specs["argument_specs"]["main"]["options"])])


def readme(role: pathlib.Path) -> str:
    """Return a role's README with its table generated again.

    :raises ValueError: the README has no place for the table.
    """
    text = (role / "README.md").read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{role.name}/README.md: needs the lines '{BEGIN}' and '{END}' once each")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{table(role)}\n{END}{after}"


def documented() -> list[pathlib.Path]:
    """Return the roles that have an argument spec."""
    places = (ROOT / "roles", ROOT / "lab" / "roles")
    return sorted(path.parents[1] for place in places for path in place.glob("*/meta/argument_specs.yml"))


def main(arguments: list[str] | None = None) -> int:
    """Write or check every README; return the exit status."""
    parser = argparse.ArgumentParser(description="Write the tables of variables in the roles' READMEs.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a table is out of date")
    check = parser.parse_args(arguments).check
    stale = []
    for role in documented():
        path = role / "README.md"
        try:
            wanted = readme(role)
        except (OSError, ValueError) as error:
            print(error, file=sys.stderr)
            return 2
        if path.read_text(encoding="utf-8") == wanted:
            continue
        stale.append(path.relative_to(ROOT))
        if not check:
            path.write_text(wanted, encoding="utf-8")
    for path in stale:
        print(f"{path}: {'out of date; run scripts/role_readmes.py' if check else 'written'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
