# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs: verified before they replace anything, and left alone when they are in place."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tarfile
import urllib.error

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import ProgramError
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.programs import Programs, chosen

URL = "https://example.com/v1/tool"
ARCHIVE_URL = "https://example.com/v1/tools-v1.tar.gz"
OTHER = "f" * 64


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def archive(members: dict[str, bytes], *, mode: int = 0o644) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode = mode
            info.uid = 4711
            info.mtime = 1
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


class Web:
    """Addresses and their content; counts what was opened."""

    def __init__(self, **content: bytes) -> None:
        self.content: dict[str, bytes | Exception] = dict(content)
        self.opened: list[str] = []

    def publish(self, url: str, content: bytes, *, checksum: str | None = None) -> None:
        self.content[url] = content
        self.content[f"{url}.sha256"] = (sha256(content) if checksum is None else checksum).encode()

    def __call__(self, url: str) -> io.BytesIO:
        self.opened.append(url)
        if url not in self.content:
            raise urllib.error.URLError("no such file")
        found = self.content[url]
        if isinstance(found, Exception):
            raise found
        return io.BytesIO(found)


@pytest.fixture
def web():
    return Web()


@pytest.fixture
def record(tmp_path):
    return tmp_path / "state" / "programs.json"


@pytest.fixture
def bin_directory(tmp_path):
    return tmp_path / "bin"


@pytest.fixture
def programs(web, record):
    """A new object each time, as each run has."""

    def make():
        return Programs(record=str(record), opener=web)

    return make


@pytest.fixture
def tool(bin_directory):
    def make(**changes):
        return {
            "name": "tool",
            "version": "1",
            "url": URL,
            "checksum_url": f"{URL}.sha256",
            "sha256": None,
            "directory": str(bin_directory),
            "files": [],
            "mirror": "",
            **changes,
        }

    return make


@pytest.fixture
def tools(tool):
    def make(*files, **changes):
        return tool(name="tools", url=ARCHIVE_URL, checksum_url=f"{ARCHIVE_URL}.sha256", files=list(files), **changes)

    return make


# --- installing -----------------------------------------------------------------------------------


def test_a_single_executable_is_installed(web, programs, tool, bin_directory):
    web.publish(URL, b"one")
    assert programs().reason(tool()) == f"{bin_directory}/tool is missing"
    programs().install(tool())
    installed = bin_directory / "tool"
    assert installed.read_bytes() == b"one"
    assert stat.S_IMODE(installed.stat().st_mode) == 0o755
    assert programs().reason(tool()) is None


def test_a_second_run_opens_no_address(web, programs, tool):
    web.publish(URL, b"one")
    programs().install(tool())
    web.opened.clear()
    assert programs().reason(tool()) is None
    assert web.opened == []


def test_members_of_an_archive_are_installed(web, programs, tools, bin_directory):
    web.publish(ARCHIVE_URL, archive({"t-v1/one": b"1", "t-v1/two": b"2", "t-v1/README": b"read me"}))
    program = tools("t-v1/one", "./t-v1/two")
    programs().install(program)
    assert sorted(os.listdir(bin_directory)) == ["one", "two"]
    status = (bin_directory / "one").stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (os.geteuid(), 0o755)
    assert status.st_mtime > 1, "the archive's own time would say that no restart is due"
    assert programs().reason(program) is None


def test_a_member_written_with_a_leading_dot(web, programs, tools, bin_directory):
    web.publish(ARCHIVE_URL, archive({"./bridge": b"1"}))
    programs().install(tools("bridge"))
    assert (bin_directory / "bridge").read_bytes() == b"1"


def test_nothing_is_left_of_the_download(web, programs, tool, bin_directory):
    web.publish(URL, b"one")
    programs().install(tool())
    assert os.listdir(bin_directory) == ["tool"]


def test_a_mirror_is_asked_and_nobody_else(web, programs, tool):
    web.publish("file:///srv/mirror/example.com/v1/tool", b"one")
    programs().install(tool(mirror="file:///srv/mirror"))
    assert sorted(web.opened) == [
        "file:///srv/mirror/example.com/v1/tool",
        "file:///srv/mirror/example.com/v1/tool.sha256",
    ]
    assert programs().reason(tool()) is None, "where it came from does not matter once it was verified"


def test_a_pinned_sum_is_used_instead_of_the_publishers_file(web, programs, tool, bin_directory):
    web.content[URL] = b"one"
    programs().install(tool(sha256=sha256(b"one").upper()))
    assert (bin_directory / "tool").read_bytes() == b"one"
    assert web.opened == [URL]
    assert programs().reason(tool(sha256=sha256(b"one").upper())) is None


# --- why it has to be installed -------------------------------------------------------------------


def test_one_missing_file_of_an_archive_is_named(web, programs, tools, bin_directory):
    web.publish(ARCHIVE_URL, archive({"one": b"1", "two": b"2"}))
    programs().install(tools("one", "two"))
    (bin_directory / "two").unlink()
    assert programs().reason(tools("one", "two")) == f"{bin_directory}/two is missing"


def test_a_program_of_another_origin_is_replaced(programs, tool, bin_directory):
    bin_directory.mkdir()
    (bin_directory / "tool").write_bytes(b"from elsewhere")
    assert programs().reason(tool()) == "tool was not installed by this collection"


def test_another_version_is_named(web, programs, tool):
    web.publish(URL, b"one")
    programs().install(tool())
    assert (
        programs().reason(tool(version="2", url="https://example.com/v2/tool")) == "version 1 is installed, 2 is wanted"
    )


def test_another_pinned_sum_is_named(web, programs, tool):
    web.publish(URL, b"one")
    programs().install(tool())
    assert (
        programs().reason(tool(sha256=OTHER))
        == f"the installed download has SHA-256 {sha256(b'one')}, {OTHER} is wanted"
    )


@pytest.mark.parametrize("change", ["content", "mode", "time"])
def test_a_changed_file_is_named(web, programs, tool, bin_directory, change):
    web.publish(URL, b"one")
    programs().install(tool())
    path = bin_directory / "tool"
    if change == "content":
        path.write_bytes(b"two")
    elif change == "mode":
        path.chmod(0o700)
    else:
        os.utime(path, (0, 0))
    assert programs().reason(tool()) == f"{path} was changed after it was installed"


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_a_damaged_record_means_installing_again(web, programs, tool, record, content):
    web.publish(URL, b"one")
    programs().install(tool())
    record.write_text(content)
    assert programs().reason(tool()) == "tool was not installed by this collection"
    programs().install(tool())
    assert json.loads(record.read_text())["tool"]["sha256"] == sha256(b"one")


def test_the_record_keeps_the_other_programs(web, programs, tool, tools, record):
    web.publish(URL, b"one")
    web.publish(ARCHIVE_URL, archive({"one": b"1"}))
    programs().install(tool())
    programs().install(tools("one"))
    assert sorted(json.loads(record.read_text())) == ["tool", "tools"]
    assert stat.S_IMODE(record.stat().st_mode) == 0o644
    assert os.listdir(record.parent) == ["programs.json"]


# --- what goes wrong leaves the old program in place ----------------------------------------------


@pytest.fixture
def installed(web, programs, tool, tools, bin_directory, record):
    """Version 0 of tool and of tools; a function that asserts that they are still what they were."""
    old = "https://example.com/v0/tool"
    web.publish(old, b"old")
    programs().install(tool(version="0", url=old, checksum_url=f"{old}.sha256"))
    web.publish("https://example.com/v0/tools.tar.gz", archive({"one": b"old one", "two": b"old two"}))
    programs().install(
        tools("one", "two")
        | {
            "version": "0",
            "url": "https://example.com/v0/tools.tar.gz",
            "checksum_url": "https://example.com/v0/tools.tar.gz.sha256",
        }
    )
    before = {path.name: (path.read_bytes(), path.stat().st_ino) for path in bin_directory.iterdir()}
    recorded = record.read_text()

    def unchanged():
        assert {p.name: (p.read_bytes(), p.stat().st_ino) for p in bin_directory.iterdir()} == before
        assert record.read_text() == recorded

    return unchanged


def failure(programs, program) -> str:
    with pytest.raises(ProgramError) as caught:
        programs.install(program)
    return str(caught.value)


def test_wrong_checksum(web, programs, tool, installed):
    web.publish(URL, b"tampered", checksum=f"{sha256(b'one')}  tool\n")
    message = failure(programs(), tool())
    assert message.startswith(
        f"{URL}: the SHA-256 sum of the download is {sha256(b'tampered')}, expected {sha256(b'one')}. "
        "Nothing was replaced."
    )
    installed()


def test_wrong_pinned_checksum(web, programs, tool, installed):
    web.publish(URL, b"one")
    message = failure(programs(), tool(sha256=OTHER))
    assert f"is {sha256(b'one')}, expected {OTHER}" in message
    installed()


def test_checksum_file_is_missing(web, programs, tool, installed):
    web.content[URL] = b"one"
    message = failure(programs(), tool())
    assert message.startswith(f"{URL}: its checksum file {URL}.sha256 cannot be read (")
    assert "no such file" in message
    assert message.endswith("Nothing was installed. Make the file available, or give the sum in cluster_checksums.")
    assert URL not in web.opened, "nothing is downloaded that cannot be verified"
    installed()


def test_checksum_file_lacks_the_program(web, programs, tool, installed):
    web.publish(URL, b"one", checksum=f"{OTHER}  another\n")
    message = failure(programs(), tool())
    assert message.startswith(f"{URL}: {URL}.sha256 has no SHA-256 sum for tool.")
    assert "cluster_checksums" in message
    installed()


def test_the_name_in_the_checksum_file_is_upstreams_also_with_a_mirror(web, programs, tool):
    web.content["file:///m/example.com/v1/tool"] = b"one"
    web.content["file:///m/example.com/v1/tool.sha256"] = f"{sha256(b'one')}  tool\n".encode()
    programs().install(tool(mirror="file:///m"))
    message = failure(programs(), tool(mirror="file:///elsewhere"))
    assert message.startswith("file:///elsewhere/example.com/v1/tool: its checksum file file:///elsewhere/")


def test_download_fails(web, programs, tool, installed):
    web.publish(URL, b"one")
    web.content[URL] = OSError("connection reset")
    message = failure(programs(), tool())
    assert message.startswith(f"{URL}: the download failed (connection reset). Nothing was replaced.")
    assert "cluster_mirror names a mirror" in message
    installed()


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({"Content-Length": "7"}, True),
        ({"Content-Length": "3"}, False),
        ({"Content-Length": "7", "Content-Encoding": "gzip"}, False),
        ({}, False),
    ],
)
def test_a_download_that_ends_early(record, tool, bin_directory, headers, refused):
    class Answer(io.BytesIO):
        pass

    def opener(url):
        answer = Answer(sha256(b"one").encode() if url.endswith(".sha256") else b"one")
        answer.headers = {} if url.endswith(".sha256") else headers
        return answer

    programs = Programs(record=str(record), opener=opener)
    if refused:
        message = failure(programs, tool())
        assert message.startswith(f"{URL}: the download failed (it ended after 3 of 7 bytes). Nothing was replaced.")
        assert not (bin_directory / "tool").exists()
    else:
        programs.install(tool())
        assert (bin_directory / "tool").read_bytes() == b"one"


def test_archive_lacks_members(web, programs, tools, installed):
    web.publish(ARCHIVE_URL, archive({"one": b"new one"}))
    assert failure(programs(), tools("one", "two", "bin/three")) == (
        f"{ARCHIVE_URL}: the archive has no bin/three, two. Nothing was replaced."
    )
    installed()


def test_a_directory_is_no_program(web, programs, tools, installed):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        directory = tarfile.TarInfo("one")
        directory.type = tarfile.DIRTYPE
        tar.addfile(directory)
        link = tarfile.TarInfo("two")
        link.type = tarfile.SYMTYPE
        link.linkname = "/etc/shadow"
        tar.addfile(link)
    web.publish(ARCHIVE_URL, buffer.getvalue())
    assert "the archive has no one, two." in failure(programs(), tools("one", "two"))
    installed()


@pytest.mark.parametrize("content", [b"", b"not an archive", archive({"one": b"x" * 100_000})[:-60]])
def test_archive_is_damaged(web, programs, tools, installed, bin_directory, content):
    web.publish(ARCHIVE_URL, content)
    message = failure(programs(), tools("one"))
    assert message.startswith(f"{ARCHIVE_URL}: the archive cannot be unpacked (")
    assert message.endswith(f"). Nothing was replaced. Look at the archive and at the free space of {bin_directory}.")
    installed()


def test_a_running_program_is_replaced_by_rename(web, programs, tool, bin_directory):
    web.publish(URL, b"one")
    programs().install(tool())
    with open(bin_directory / "tool", "rb") as running:
        web.publish("https://example.com/v2/tool", b"two")
        programs().install(
            tool(version="2", url="https://example.com/v2/tool", checksum_url="https://example.com/v2/tool.sha256")
        )
        assert running.read() == b"one"
    assert (bin_directory / "tool").read_bytes() == b"two"


# --- for transactions -------------------------------------------------------------------------------


def test_each_path_is_announced_before_it_is_replaced(web, tools, record, bin_directory):
    told = []
    programs = Programs(
        record=str(record), opener=web, replacing=lambda path: told.append((path, os.path.exists(path)))
    )
    web.publish(ARCHIVE_URL, archive({"one": b"1", "two": b"2"}))
    programs.install(tools("one", "two"))
    assert told == [(f"{bin_directory}/one", False), (f"{bin_directory}/two", False)]


def test_a_record_is_put_back(web, programs, tool, record):
    web.publish(URL, b"one")
    fresh = programs()
    before = fresh.entry("tool")
    assert before is None
    fresh.install(tool())
    installed = fresh.entry("tool")
    fresh.put_back({"tool": None})
    assert json.loads(record.read_text()) == {}
    fresh.put_back({"tool": installed})
    assert json.loads(record.read_text()) == {"tool": installed}


def test_commands(tool, tools):
    assert Programs.commands(tool(mirror="file:///m")) == [
        "curl --fail --location --remote-name file:///m/example.com/v1/tool",
        "sha256sum --check tool.sha256",
        f"install -m 0755 tool {tool()['directory']}/tool",
    ]
    commands = Programs.commands(tools("t/one", "t/two", sha256=OTHER))
    assert commands[1:] == [
        f"echo '{OTHER}  tools-v1.tar.gz' | sha256sum --check",
        "tar --extract --file tools-v1.tar.gz t/one t/two",
        f"install -m 0755 t/one t/two {tool()['directory']}",
    ]


# --- what is published ------------------------------------------------------------------------------


def test_chosen_in_the_order_of_the_names(tool):
    published = {
        "b": tool(name="b"),
        "a": {key: tool()[key] for key in ("version", "url", "checksum_url", "directory")},
    }
    first, second = chosen(["a", "b"], published)
    assert (first["name"], first["sha256"], first["files"], first["mirror"]) == ("a", None, [], "")
    assert second == tool(name="b")


def test_an_unknown_program_is_named_with_the_known_ones(tool):
    with pytest.raises(ProgramError, match=r"^programs: c, d is not published; known programs: a, b$"):
        chosen(["a", "c", "d"], {"b": tool(), "a": tool()})
    with pytest.raises(ProgramError, match=r"known programs: none$"):
        chosen(["a"], {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": None}, "published: tool lacks url"),
        ({"sum": "x"}, "published: tool has unknown fields sum; known: name, version, url"),
        ({"files": "one"}, "published: files of tool is not a list"),
    ],
)
def test_an_incomplete_entry(tool, change, message):
    with pytest.raises(ProgramError, match=message):
        chosen(["tool"], {"tool": tool(**change)})
    with pytest.raises(ProgramError, match="published: tool is not a dictionary"):
        chosen(["tool"], {"tool": "1.2.3"})
