# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents: links resolve, pictures can be read in light and dark, names exist, and phrases are plain English.

The phrases are also looked for in the names, messages, comments and documentation of the code.
"""

from __future__ import annotations

import io
import pathlib
import re
import tokenize
import typing as t
import xml.etree.ElementTree as ET

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Made by the set-up, not by people.
MADE = {".venv", ".collections", ".lab", ".logs", ".git", ".ansible", ".cache", ".pytest_cache", "output"}

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
CODE = re.compile(r"`([^`\n]+)`")

# Phrases that are not English, with what to write instead.
PHRASES = {
    r"(?i)(?<!there )(?<!there may )\b(?:is|are|was|were|be) no\b(?! (?:longer|larger|more|less)\b)": "is not a",
    r"(?i)\banew\b": "again",
    # Jinja's test is followed by something else.
    r"(?i)(?<!there )\b(?:is|are) none(?=[.,;:]|$)": "does not exist, is not supported",
    r"(?i)\bnobody else\b": "only",
    r"(?i)\bknows no\b": "does not have",
    r"(?i)\bforet(?:ells?|old)\b": "predicts",
    r"(?i)\b(?:is|are|was|were|be) told\b": "gets, receives, is called with",
    r"(?i)\basked for\b": "required, requested, described",
    r"(?i)\b(?:strikes?|struck) off\b": "removes",
    r"(?i)\bhas no one\b": "does not have",
    r"(?:^|[.:;] )(?:Who|What) [a-z]+\b(?![^.]*\?)": "a sentence with a noun as its subject",
}

# Beginnings of names that documents give to settings, and where such a name has to occur.
SETTING = re.compile(
    r"(?:addons|apiserver|ca|client|cluster|controller_manager|etcd|healthz_nginx|lb|pod_network|preflight|scheduler"
    r"|smoke_test|worker)_[a-z0-9_]+"
)
SOURCES = ("roles", "playbooks", "plugins", "inventories", "lab")
# Files of these with text for people: Python is read by its tokens, the others as a whole.
SOURCE_SUFFIXES = {".py", ".yml", ".yaml", ".j2", ".sh"}


def documents() -> list[pathlib.Path]:
    """Return every Markdown file, relative to the root."""
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*.md"))
    return sorted(path for path in found if not MADE & set(path.parts))


def anchors(text: str) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    found: dict[str, int] = {}
    made = set()
    for heading in HEADING.findall(_without_code(text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        made.add(slug if slug not in found else f"{slug}-{found[slug]}")
        found[slug] = found.get(slug, 0) + 1
    return made


def _without_code(text: str) -> str:
    """Return the text without fenced and indented code, whose lines stay as empty ones."""
    lines, fenced = [], False
    for line in text.splitlines():
        mark = line.lstrip().startswith("```")
        fenced ^= mark
        lines.append("" if mark or fenced or line.startswith("    ") else line)
    return "\n".join(lines)


def broken_links(path: pathlib.Path, root: pathlib.Path = ROOT) -> list[str]:
    """Return the relative links of a document that lead nowhere.

    :param path: the document, relative to ``root``.
    """
    broken = []
    for link in LINK.findall(_without_code((root / path).read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        file, _mark, anchor = link.partition("#")
        target = (root / path).parent / file if file else root / path
        if not target.exists():
            broken.append(f"{link}: there is no such file")
        elif anchor and anchor not in anchors(target.read_text(encoding="utf-8")):
            broken.append(f"{link}: there is no such heading")
    return broken


def odd_phrases(text: str) -> list[str]:
    """Return the phrases of a text that style forbids, each with what to write."""
    plain = " ".join(re.sub(CODE, "", _without_code(text)).split())
    return [
        f"{found.group(0).strip()!r}: write {instead!r}"
        for pattern, instead in PHRASES.items()
        for found in re.finditer(pattern, plain)
    ]


def sources() -> list[pathlib.Path]:
    """Return every file of the code with text for people, relative to the root."""
    found = (path.relative_to(ROOT) for folder in SOURCES for path in (ROOT / folder).rglob("*"))
    return sorted(path for path in found if path.suffix in SOURCE_SUFFIXES and not MADE & set(path.parts))


def readable(text: str, suffix: str) -> list[str]:
    """Return the names, messages, comments and documentation of a source file.

    :param suffix: of the file's name; ``.py`` has its comments (those on following lines as one) and strings.
    """
    if suffix != ".py":
        return [re.sub(r"(?m)^ *#+ ?", "", text)]
    found: list[str] = []
    last = tokenize.ENCODING
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            comment = token.string.lstrip("#: ")
            found[-1:] = [f"{found[-1]} {comment}"] if last == tokenize.COMMENT else [*found[-1:], comment]
        elif token.type in {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", None)}:
            found.append(token.string.lstrip("rbfRBF").strip("\"'"))
        if token.type != tokenize.NL:
            last = token.type
    return found


def odd_source_phrases(text: str, suffix: str) -> list[str]:
    """Return the phrases of a source file that style forbids, each with what to write."""
    # Indented lines are not code here, as they are in Markdown.
    return [found for part in readable(text, suffix) for found in odd_phrases(re.sub(r"``[^`]+``|(?m:^ +)", "", part))]


@pytest.fixture(scope="module")
def words() -> set[str]:
    """Return every word with an underscore in code, playbooks, inventories and names of files."""
    found: set[str] = set()
    for folder in SOURCES:
        for path in (ROOT / folder).rglob("*"):
            found.add(path.stem)
            if path.suffix in {".yml", ".py", ".j2"} and not MADE & set(path.relative_to(ROOT).parts):
                found |= set(re.findall(r"[a-z0-9]+(?:_[a-z0-9]+)+", path.read_text(encoding="utf-8")))
    return found


def _ids(path: t.Any) -> str:
    return str(path)


@pytest.mark.parametrize("path", documents(), ids=_ids)
def test_links_lead_somewhere(path):
    assert broken_links(path) == []


@pytest.mark.parametrize("path", documents(), ids=_ids)
def test_phrases(path):
    assert odd_phrases((ROOT / path).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", sorted((ROOT / "changelogs" / "fragments").glob("*.yml")), ids=lambda path: path.name)
def test_phrases_of_the_changelog(path):
    # Its lines are indented, which is not code here.
    assert odd_phrases(re.sub(r"``[^`]+``|^ +", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)) == []


@pytest.mark.parametrize("path", sources(), ids=_ids)
def test_phrases_of_the_code(path):
    assert odd_source_phrases((ROOT / path).read_text(encoding="utf-8"), path.suffix) == []


@pytest.mark.parametrize("path", documents(), ids=_ids)
def test_settings_exist(path, words):
    named = {name for code in CODE.findall((ROOT / path).read_text(encoding="utf-8")) for name in SETTING.findall(code)}
    assert sorted(named - words) == []


@pytest.mark.parametrize("path", documents(), ids=_ids)
def test_make_targets_exist(path):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = re.findall(r"(?:`|^ {4}|\$ )make ([a-z][a-z-]*)", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(set(named) - targets) == []


def test_documents_that_code_names_exist():
    named = {
        (str(path.relative_to(ROOT)), document)
        for folder in (*SOURCES, "tests/lab")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".yml", ".py", ".j2"} and not MADE & set(path.relative_to(ROOT).parts)
        for document in re.findall(r"\bdocs/[\w/.-]+\.md\b", path.read_text(encoding="utf-8"))
    }
    assert named
    assert sorted((source, document) for source, document in named if not (ROOT / document).exists()) == []


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "images").glob("*.svg")), ids=lambda path: path.name)
def test_pictures(path):
    text = path.read_text(encoding="utf-8")
    names = {element.tag.rpartition("}")[2] for element in ET.fromstring(text).iter()}
    assert {"title", "desc"} <= names
    assert "prefers-color-scheme: dark" in text
    assert any(path.name in (ROOT / document).read_text(encoding="utf-8") for document in documents())


def test_what_is_wrong_is_noticed(tmp_path):
    (tmp_path / "page.md").write_text(
        "# A page: of `code`, and more\n[a](gone.md) [b](#a-page-of-code-and-more) [c](#elsewhere) [d](https://example.com)\n"
        "```\n[e](in-code.md)\n# not-a-heading\n```\n    [f](in-code.md)\n",
        encoding="utf-8",
    )
    assert broken_links(pathlib.Path("page.md"), tmp_path) == [
        "gone.md: there is no such file",
        "#elsewhere: there is no such heading",
    ]
    assert anchors("# Twice\n# Twice\n") == {"twice", "twice-1"}


@pytest.mark.parametrize(
    "text",
    [
        "This is no network.",
        "It is made\nanew.",
        "Refuse a name that is none.",
        "Read. Who asks gets it.",
        "It is told the path.",
        "A state that was asked for.",
    ],
)
def test_an_odd_phrase_is_noticed(text):
    assert len(odd_phrases(text)) == 1


@pytest.mark.parametrize(
    "text", ["There is no quorum.", "It is no longer there.", "It is not a network.", "Not `is no`.", "    made anew\n"]
)
def test_plain_english_is_left_alone(text):
    assert odd_phrases(text) == []


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".yml", "- name: Make it anew\n"),
        (".yml", "- name: Check\n  fail_msg: >-\n    ctl01: this is\n    no network\n"),
        (".yml", "# This is\n# no network.\n"),
        (".j2", "# Who asks gets it.\n"),
        (".py", '"""What a run did."""\n'),
        (".py", 'raise Error(f"{host}: this is no network")\n'),
        (".py", "def f():\n    # This is\n    # no network.\n    return 1\n"),
        (".py", 'TEXT = r"""\nvalue:\n  description: What was found.\n"""\n'),
    ],
)
def test_an_odd_phrase_in_code_is_noticed(suffix, text):
    assert len(odd_source_phrases(text, suffix)) == 1


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".py", "found = x if x is none else are.no\n"),
        (".py", '"""Return it. ``is no`` is code."""\n# There is no network.\n'),
        (".yml", "when: There is no quorum\n"),
    ],
)
def test_plain_code_is_left_alone(suffix, text):
    assert odd_source_phrases(text, suffix) == []
