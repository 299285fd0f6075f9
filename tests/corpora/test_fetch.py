"""A corpus is fetched whole and right, whatever the server, the archive and the disk do."""

import dataclasses
import errno
import hashlib
import io
import os
import signal
import stat
import struct
import subprocess
import sys
import threading
import time
import urllib.request
import warnings
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from download_server import Server
from miniatures import by_rule, emozionalmente

from sernb import config
from sernb.__main__ import main
from sernb.config import ROOT, DataError
from sernb.corpora import registry
from sernb.corpora.check import check
from sernb.corpora.fetch import fetch
from sernb.corpora.files import list_names
from sernb.corpora.index import committed_index
from sernb.corpora.local_index import read_index
from sernb.corpora.record import Archive, Corpus
from sernb.corpora.registry import get_corpus
from sernb.runtime import download as download_module
from sernb.runtime.archive import BadArchive, unpack
from sernb.runtime.download import RetryPolicy

DEMO = get_corpus("demo")
INDEX = read_index(DEMO)
HASTY = RetryPolicy(timeout=0.3, pauses=(0.0, 0.0))
CLIPS = 6


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("SERNB_DATA", str(tmp_path / "raw"))
    monkeypatch.setattr(config, "INDEX", tmp_path / "index")


@pytest.fixture
def mini(tmp_path) -> Corpus:
    """A corpus of the first clips of the demo corpus, with its index; no way to fetch it yet."""
    corpus = dataclasses.replace(DEMO, name="mini", title="the miniature", home=None, clips=CLIPS, speakers=1)
    corpus.index_path.parent.mkdir()
    INDEX.head(CLIPS).to_csv(corpus.index_path, index=False)
    return corpus


@pytest.fixture
def contents(mini) -> dict[str, bytes]:
    return {path: (ROOT / "data" / "demo" / path).read_bytes() for path in read_index(mini).path}


def zipped(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def by_archive(corpus: Corpus, server: Server, content: bytes, **published) -> Corpus:
    """The corpus, with an archive on the server whose size and checksum are published."""
    server.files["/mini.zip"] = content
    facts = {"bytes": len(content), "checksum": f"md5:{hashlib.md5(content, usedforsecurity=False).hexdigest()}"}
    return dataclasses.replace(corpus, archive=Archive("mini.zip", f"{server.address}/mini.zip", **(facts | published)))


@pytest.fixture
def archived(mini, contents, server) -> Corpus:
    return by_archive(mini, server, zipped(contents))


@pytest.fixture
def single(mini, contents, server) -> Corpus:
    server.files |= {f"/media/{path}": content for path, content in contents.items()}
    return dataclasses.replace(mini, files_url=f"{server.address}/media/")


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "raw" / "mini"


def held(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def beside(target: Path) -> list[str]:
    return sorted(os.listdir(target.parent)) if target.parent.exists() else []


def refusal(corpus: Corpus, **options) -> str:
    with pytest.raises(DataError) as caught:
        fetch(corpus, retry_policy=HASTY, **options)
    assert all("\n" not in line for line in caught.value.args)
    return str(caught.value)


# When all goes well


def test_an_archive_is_fetched_checked_and_put_into_place(archived, contents, target, server):
    assert fetch(archived, retry_policy=HASTY) == target
    assert held(target) == contents
    assert [finding for finding in check(archived, target) if finding.level == "problem"] == []
    assert beside(target) == ["mini"]
    assert server.ranges == [""]


def test_single_files_are_fetched_checked_and_put_into_place(single, contents, target):
    assert fetch(single, retry_policy=HASTY) == target
    assert held(target) == contents
    assert beside(target) == ["mini"]


@pytest.mark.parametrize("way", ["archived", "single"])
def test_what_is_there_is_not_fetched_again(way, request, server, contents, target):
    corpus = request.getfixturevalue(way)
    fetch(corpus, retry_policy=HASTY)
    asked = len(server.asked)
    fetch(corpus, retry_policy=HASTY)
    assert len(server.asked) == asked
    first = next(iter(contents))
    (target / first).unlink()
    (target / "notes.txt").write_text("mine")
    fetch(corpus, retry_policy=HASTY)
    assert len(server.asked) == asked + 1
    assert held(target) == contents | {"notes.txt": b"mine"}


@pytest.mark.parametrize("way", ["archived", "single"])
def test_a_file_of_the_user_is_never_overwritten(way, request, server, contents, target):
    first = target / next(iter(contents))
    first.parent.mkdir(parents=True)
    first.write_bytes(b"my own recording")
    assert "is there and is not the published file" in refusal(request.getfixturevalue(way))
    assert held(target) == {first.relative_to(target).as_posix(): b"my own recording"}
    assert server.asked == []


def test_a_file_in_the_place_of_the_folder_is_said(archived, target):
    target.parent.mkdir()
    target.write_text("mine")
    assert "is a file, not a folder" in refusal(archived)
    assert target.read_text() == "mine"


def test_another_folder_and_another_address_can_be_given(mini, contents, server, tmp_path):
    server.files["/other.zip"] = zipped({f"pack/{path}": content for path, content in contents.items()})
    folder = fetch(mini, tmp_path / "elsewhere", url=f"{server.address}/other.zip", retry_policy=HASTY)
    assert held(folder) == contents
    assert folder == tmp_path / "elsewhere"


def test_a_redirection_is_followed(archived, contents, target, server):
    server.files["/moved.zip"] = server.files["/mini.zip"]
    server.plans["/mini.zip"] = [{"status": 302, "headers": {"Location": "/moved.zip"}}]
    fetch(archived, retry_policy=HASTY)
    assert held(target) == contents


def test_an_archive_of_unknown_length_is_fetched(mini, contents, target, server):
    corpus = by_archive(mini, server, zipped(contents), bytes=None, checksum="")
    server.always = {"chunked": True, "etag": ""}
    server.plans["/mini.zip"] = [{"cut": 5000}]  # a cut is noticed all the same
    fetch(corpus, retry_policy=HASTY)
    assert held(target) == contents
    assert server.ranges == ["", ""]


# A server in trouble


@pytest.mark.parametrize("trouble", [
    {"cut": 5000}, {"cut": 5000, "stall": True}, {"cut": 0}, {"close": True},
    {"status": 500}, {"status": 503, "headers": {"Retry-After": "0"}}, {"status": 429},
])  # fmt: skip
@pytest.mark.parametrize("way", ["archived", "single"])
def test_trouble_that_passes_is_waited_for(way, trouble, request, contents, target, server):
    corpus = request.getfixturevalue(way)
    for path in list(server.files):
        server.plans[path] = [trouble]
    fetch(corpus, retry_policy=HASTY)
    assert held(target) == contents


def test_a_download_goes_on_where_it_was_cut_off(archived, contents, target, server):
    whole = len(server.files["/mini.zip"])
    server.plans["/mini.zip"] = [{"cut": 20_000}, {"cut": 30_000}, {"cut": 1}, {"status": 500}, {"cut": 9000}]
    fetch(archived, retry_policy=HASTY)
    assert server.ranges[1:4] == ["bytes=20000-", "bytes=50000-", "bytes=50001-"]
    assert server.sent == whole + len(b"<html>an error page</html>")
    assert held(target) == contents


def test_a_later_call_goes_on_where_the_earlier_gave_up(archived, contents, target, server):
    server.plans["/mini.zip"] = [{"cut": 20_000}, *[{"status": 503}] * 3]
    assert "the server answers 503" in refusal(archived)
    assert not target.exists()
    fetch(archived, retry_policy=HASTY)
    assert server.ranges[-1] == "bytes=20000-"
    assert held(target) == contents


def test_trouble_that_does_not_pass_ends(archived, target, server):
    server.always = {"status": 500}
    assert "the server answers 500 (Internal Server Error)" in refusal(archived)
    assert len(server.asked) == 1 + len(HASTY.pauses)
    server.always = {"cut": 5000, "ranges": False}  # starts again each time, and never gets further
    assert "cut off after 5000 of" in refusal(archived)
    assert not target.exists()


def test_a_server_that_ignores_ranges_starts_again(archived, contents, target, server):
    server.always = {"ranges": False}
    server.plans["/mini.zip"] = [{"cut": 20_000}]
    fetch(archived, retry_policy=HASTY)
    assert server.ranges == ["", "bytes=20000-"]
    assert held(target) == contents


@pytest.mark.parametrize("rude", [False, True], ids=["answers with the whole", "sends the part"])
def test_a_file_that_changed_in_between_is_not_glued(rude, archived, contents, target, server):
    old = bytes(len(server.files["/mini.zip"]))
    server.plans["/mini.zip"] = [{"content": old, "etag": '"old"', "cut": 20_000}, {"rude": rude}]
    fetch(archived, retry_policy=HASTY)
    assert held(target) == contents


def test_without_a_name_for_the_version_nothing_is_glued(archived, contents, target, server):
    server.always = {"etag": ""}
    server.plans["/mini.zip"] = [{"cut": 20_000}]
    fetch(archived, retry_policy=HASTY)
    assert server.ranges == ["", ""]
    assert held(target) == contents


def test_a_part_that_is_too_long_is_thrown_away(archived, contents, target, server):
    corpus = dataclasses.replace(archived, archive=dataclasses.replace(archived.archive, bytes=None))
    server.plans["/mini.zip"] = [{"cut": 20_000}, *[{"status": 503}] * 3]
    refusal(corpus)
    (part,) = target.parent.glob(".mini.fetch/*.part")
    part.write_bytes(bytes(len(server.files["/mini.zip"]) + 1))
    fetch(corpus, retry_policy=HASTY)
    assert held(target) == contents


# A server that refuses, or sends something else


@pytest.mark.parametrize(("status", "words"), [(404, "404 (Not Found)"), (403, "403 (Forbidden)"), (410, "410 (Gone)")])
def test_a_refusal_is_said_at_once(status, words, archived, target, server):
    server.always = {"status": status}
    message = refusal(archived)
    assert message.startswith(f"{archived.archive.url}: the server answers {words}; find out whether it has moved")
    assert len(server.asked) == 1
    assert beside(target) == []


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://127.0.0.1/x.zip", "/mini.zip"])
def test_a_redirection_to_elsewhere_or_in_circles_is_refused(place, archived, target, server):
    server.always = {"status": 302, "headers": {"Location": place}}
    message = refusal(archived)
    assert "302" in message or "use http or https" in message
    assert not target.exists()


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://a/b.zip", "nonsense", "", "https://", "http://[", "http://a/b.zip"]
)
def test_only_https_is_fetched_from(url, mini):
    corpus = dataclasses.replace(mini, archive=Archive("mini.zip", url))
    assert "must begin with https://" in refusal(corpus) if url else "cannot be fetched" in refusal(mini)


def test_nobody_who_listens_is_said(archived, server):
    url = "http://127.0.0.1:9/mini.zip"
    assert refusal(archived, url=url).startswith(
        f"{url}: no connection (Connection refused); run the same command again later"
    )


def test_a_name_nobody_knows_is_said(archived):
    assert "no connection" in refusal(archived, url="http://nowhere.invalid/mini.zip")


def test_a_server_that_does_not_speak_tls_is_said(archived, server):
    message = refusal(archived, url=server.address.replace("http", "https"))
    assert "no connection" in message
    assert "SSL" in message


@pytest.mark.parametrize("content", [b"x" * 100, b"x" * 200_000], ids=["shorter", "longer"])
def test_another_size_is_refused_before_it_is_downloaded(content, archived, target, server):
    server.always = {"content": content}
    assert f"has {len(content)} bytes, but {archived.archive.bytes} were published" in refusal(archived)
    assert server.sent <= len(content)
    assert not target.exists()


def test_more_than_was_announced_is_refused(mini, contents, target, server):
    corpus = by_archive(mini, server, zipped(contents))
    server.always = {"content": bytes(10**6), "chunked": True}
    assert "sends more than the allowed" in refusal(corpus)
    assert not target.exists()


def test_wrong_bytes_are_never_used(archived, contents, target, server):
    wrong = bytearray(server.files["/mini.zip"])
    wrong[5000] ^= 1
    server.plans["/mini.zip"] = [{"content": bytes(wrong)}]
    assert "its md5 is" in refusal(archived)
    assert beside(target) == []
    fetch(archived, retry_policy=HASTY)
    assert held(target) == contents


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0f3c\nsize 375720\n", "is a Git LFS pointer"),
        (b"<html>sign in</html>", "is not the published file"),
        (bytes(10**6), "more than the"),
    ],
    ids=["pointer", "page", "longer"],
)
def test_a_single_file_that_is_another_is_never_used(content, words, single, contents, target, server):
    first, *others = contents
    server.plans[f"/media/{first}"] = [{"content": content}]
    assert words in refusal(single)
    assert set(held(target)) == set(others)
    fetch(single, retry_policy=HASTY)
    assert held(target) == contents


def test_many_single_files_that_fail_end_the_whole(single, server):
    server.always = {"status": 404}
    assert refusal(single).count("404 (Not Found)") == 5


def test_the_end_of_single_files_does_not_wait_for_all_tries(single, contents, server):
    first, *others = contents
    for path in others:
        server.plans[f"/media/{path}"] = [{"status": 404}]
    server.plans[f"/media/{first}"] = [{"status": 503, "headers": {"Retry-After": "50"}}]
    refusal(single)
    assert len(server.asked) == CLIPS


# Archives


def other_edition(contents: dict[str, bytes]) -> dict[str, bytes]:
    first = next(iter(contents))
    return contents | {first: bytes(reversed(contents[first]))}


def longer(contents: dict[str, bytes]) -> dict[str, bytes]:
    return contents | {next(iter(contents)): bytes(50_000_000)}


def with_entry(contents: dict[str, bytes], name: str, mode: int = 0) -> bytes:
    packed = io.BytesIO(zipped(contents))
    with warnings.catch_warnings(), zipfile.ZipFile(packed, "a") as archive:
        warnings.simplefilter("ignore")  # that a name is there twice
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        archive.writestr(entry, b"evil")
    return packed.getvalue()


def patched(content: bytes, offset: int, values: bytes) -> bytes:
    """The archive with bytes of its first entry changed in the central directory."""
    start = content.index(b"PK\x01\x02") + offset
    return content[:start] + values + content[start + len(values) :]


def understated(contents: dict[str, bytes]) -> bytes:
    """A bomb: 50 MB under the size that was published."""
    first = next(iter(contents))
    return patched(zipped(longer(contents)), 24, struct.pack("<I", len(contents[first])))


def with_nul(contents: dict[str, bytes]) -> bytes:
    return with_entry(contents, "nul#name").replace(b"nul#name", b"nul\0name")


EVIL = {
    "up": (lambda files: with_entry(files, "../evil.flac"), "points outside"),
    "up inside": (lambda files: with_entry(files, "a/../../evil.flac"), "points outside"),
    "absolute": (lambda files: with_entry(files, "/evil.flac"), "points outside"),
    "drive": (lambda files: with_entry(files, "C:/evil.flac"), "points outside"),
    "backslash": (lambda files: with_entry(files, "..\\evil.flac"), "points outside"),
    "NUL": (with_nul, "points outside"),
    "link": (lambda files: with_entry(files, "link", stat.S_IFLNK | 0o777), "link or device"),
    "device": (lambda files: with_entry(files, "device", stat.S_IFCHR | 0o777), "link or device"),
    "twice": (lambda files: with_entry(files, next(iter(files))), "twice"),
    "twice but for case": (lambda files: with_entry(files, next(iter(files)).upper()), "twice"),
    "encrypted": (lambda files: patched(zipped(files), 8, b"\x01"), "is encrypted"),
    "bomb": (lambda files: zipped(longer(files)), "has 50000000 bytes, but"),
    "bomb that lies": (understated, "is damaged"),
    "unknown method": (lambda files: patched(zipped(files), 10, b"\x63"), "is damaged"),
    "wrong CRC": (lambda files: patched(zipped(files), 16, b"\0\0\0\0"), "is damaged"),
    "cut": (lambda files: zipped(files)[:-30], "is not a complete zip archive"),
    "half": (lambda files: zipped(files)[:50_000], "is not a complete zip archive"),
    "nothing": (lambda files: b"", "is not a complete zip archive"),
    "page": (lambda files: b"\n<!DOCTYPE html><p>sign in</p>", "is a web page"),
    "empty": (lambda files: zipped({}), "holds none of the published recordings"),
    "another corpus": (lambda files: zipped({"a/b.wav": b"sound"}), "holds none of the published recordings"),
    "another edition": (lambda files: zipped(other_edition(files)), "is not the published file (sha256 differs)"),
    "too many": (lambda files: zipped({f"{number}": b"" for number in range(50)}), "more than any corpus"),
}


@pytest.mark.parametrize("case", EVIL)
def test_an_evil_or_broken_archive_leaves_nothing(case, mini, contents, server, target, monkeypatch, tmp_path):
    make, words = EVIL[case]
    monkeypatch.setattr("sernb.runtime.archive.MOST_ENTRIES", 40)
    corpus = by_archive(mini, server, make(contents))  # published so: only its inside can betray it
    if case == "nothing":
        corpus = by_archive(mini, server, b"", bytes=None, checksum="")
    message = refusal(corpus)
    assert words in message
    assert beside(target) == []
    assert not list(tmp_path.rglob("*evil*"))
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 100_000


def test_only_what_the_index_lists_is_taken_out(mini, contents, server, target):
    second = {f"copy/{path}": content for path, content in contents.items()}
    others = {"README.txt": b"read me", "__MACOSX/._x.flac": b"x"}
    corpus = by_archive(mini, server, zipped(second | contents | others))
    said: list[str] = []
    fetch(corpus, retry_policy=HASTY, announce=said.append)
    assert held(target) == contents
    first, third = min(second), sorted(second)[2]
    assert said[0].startswith(f"6 second copies of files were left in the archive: {first}, ")
    assert said[0].endswith(f"{third}, …")
    assert said[1] == "2 other files were left in the archive: README.txt, __MACOSX/._x.flac"
    assert said[2] == f"mini: 6 files fetched, 0 were there, in {target}"


@pytest.mark.parametrize("spell", [lambda path: path.rpartition("/")[2], str.upper], ids=["flat", "in capitals"])
def test_files_are_found_wherever_they_lie_in_the_archive(spell, mini, contents, server, target):
    fetch(by_archive(mini, server, zipped({spell(path): content for path, content in contents.items()})))
    assert held(target) == contents


def test_what_an_archive_lacks_is_said(mini, contents, server, target):
    first = next(iter(contents))
    corpus = by_archive(mini, server, zipped({path: contents[path] for path in contents if path != first}))
    said: list[str] = []
    fetch(corpus, retry_policy=HASTY, announce=said.append)
    assert said[0] == f"1 files are not in the archive: {first}"
    problems = [finding for finding in check(corpus, target) if finding.level == "problem"]
    assert [(problem.kind, problem.path) for problem in problems] == [("missing", first)]


def test_spoiled_archives_end_in_whole_files_or_in_one_refusal(mini, contents, tmp_path, rng):
    whole, index, refused = zipped(contents), read_index(mini), 0
    for number in range(150):
        spoiled = bytearray(whole)
        start = 0 if rng.random() < 0.3 else whole.index(b"PK\x01\x02")  # most of the time: in the directory
        for place in rng.integers(start, len(whole), size=rng.integers(1, 5)):
            spoiled[place] ^= 1 << rng.integers(8)
        (tmp_path / "spoiled.zip").write_bytes(spoiled)
        folder = tmp_path / f"unpacked-{number}"
        try:
            unpack(tmp_path / "spoiled.zip", index, folder, spellings=partial(list_names, mini))
        except BadArchive:
            refused += 1
        else:
            assert all(contents[path] == content for path, content in held(folder).items())
    assert 50 < refused < 150


# The disk, and being stopped


def test_a_full_disk_is_said_before_anything_is_fetched(archived, server, monkeypatch, target):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=9))
    assert "MB are needed and 0 MB are free" in refusal(archived)
    assert server.asked == []
    assert not target.exists()


@pytest.mark.parametrize("way", ["archived", "single"])
@pytest.mark.parametrize("room", [0, 30_000, 150_000])
def test_a_disk_that_fills_up_is_said_and_the_next_call_goes_on(
    way, room, request, monkeypatch, server, contents, target
):
    corpus = request.getfixturevalue(way)
    opened = Path.open

    class Full:
        left = room

        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def write(self, block):
            Full.left -= len(block)
            if Full.left < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return self.file.write(block)

    def open_(path, mode="r", *arguments, **options):
        file = opened(path, mode, *arguments, **options)
        return Full(file) if mode in ("wb", "ab") else file  # a lock is held all the same

    with monkeypatch.context() as small:
        small.setattr(Path, "open", open_)
        assert "cannot be written (No space left on device): free space" in refusal(corpus)
    assert all(content == contents[path] for path, content in held(target).items())
    fetch(corpus, retry_policy=HASTY)
    assert held(target) == contents
    assert beside(target) == ["mini"]


STOPPED = """
import dataclasses, sys
from pathlib import Path
from sernb import config
from sernb.corpora.record import Archive
from sernb.corpora.registry import get_corpus
from sernb.corpora.fetch import fetch
config.INDEX = Path(sys.argv[1])
mini = dataclasses.replace(get_corpus("demo"), name="mini", home=None)
fetch(dataclasses.replace(mini, archive=Archive("mini.zip", sys.argv[2], int(sys.argv[3]))))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
@pytest.mark.parametrize("how", ["SIGKILL", "SIGINT"])
def test_a_stopped_download_goes_on_where_it_stopped(how, archived, contents, server, target, tmp_path):
    server.plans["/mini.zip"] = [{"cut": 40_000, "stall": True}]
    arguments = [str(tmp_path / "index"), archived.archive.url, str(archived.archive.bytes)]
    process = subprocess.Popen([sys.executable, "-c", STOPPED, *arguments], stderr=subprocess.PIPE)
    while not any(path.stat().st_size > 30_000 for path in target.parent.glob(".mini.fetch/*.part")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(getattr(signal, how))
    process.communicate()
    assert not target.exists()
    (part,) = target.parent.glob(".mini.fetch/*.part")
    size = part.stat().st_size
    fetch(archived, retry_policy=HASTY)
    assert server.ranges == ["", f"bytes={size}-"]
    assert held(target) == contents
    assert beside(target) == ["mini"]


# The corpora themselves


@pytest.mark.parametrize("name", registry.CORPORA)
def test_each_corpus_says_how_to_come_by_it(name):
    corpus = get_corpus(name)
    addresses = [address for address in (corpus.archive and corpus.archive.url, corpus.files_url) if address]
    assert bool(corpus.home) + len(addresses) + bool(corpus.on_request) == 1
    assert all(address.startswith("https://") for address in addresses)
    if corpus.archive and corpus.archive.checksum:
        method, _, published = corpus.archive.checksum.partition(":")
        assert len(published) == 2 * hashlib.new(method, usedforsecurity=False).digest_size


@pytest.mark.parametrize(
    ("name", "path", "spelled"),
    [
        ("ravdess", "Actor_12/03-01-06-01-02-01-12.wav", "audio_speech_actors_01-24/Actor_12/03-01-06-01-02-01-12.wav"),
        ("crema_d", "AudioWAV/1040_ITH_SAD_XX.wav", "AudioWAV/1040_ITH_SAD_X.wav"),
        ("savee", "DC/a01.wav", "ALL/DC_a01.wav"),
        ("savee", "DC/a01.wav", "AudioData/DC/a01.wav"),
        ("tess", "OAF_Fear/OAF_back_fear.wav", "TESS Toronto emotional speech set data/oaf_fear/OAF_back_fear.wav"),
        ("tess", "OAF_neutral/OA_bite_neutral.wav", "OA_bite_neutral.wav"),
        ("emodb", "wav/03a01Fa.wav", "emodb/wav/03a01Fa.wav"),
    ],
)
def test_known_spellings_are_found_in_archives(name, path, spelled, tmp_path, monkeypatch):
    monkeypatch.setattr(config, "INDEX", ROOT / "sernb" / "corpora" / "indexes")
    content = b"stands for the recording"
    row = {"path": path, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    other = [each for each in committed_index(get_corpus(name)).path if each != path]
    index = pd.DataFrame([row, *({"path": each, "bytes": 1, "sha256": ""} for each in other)])
    (tmp_path / "made.zip").write_bytes(zipped({spelled: content, "ReadMe.txt": b"x"}))
    said = unpack(tmp_path / "made.zip", index, tmp_path / "unpacked", spellings=partial(list_names, get_corpus(name)))
    assert held(tmp_path / "unpacked") == {path: content}
    assert said[0] == "1 other files were left in the archive: ReadMe.txt"
    assert said[1].startswith(f"{len(other)} files are not in the archive: ")


def test_a_file_under_another_spelling_is_there(mini, contents, server, target):
    corpus = by_archive(mini, server, zipped(contents))
    first = next(iter(contents))
    (target / first.upper()).parent.mkdir(parents=True)
    (target / first.upper()).write_bytes(contents[first])
    fetch(corpus, retry_policy=HASTY)
    assert set(held(target)) == set(contents) - {first} | {first.upper()}


# The command


def test_the_demo_corpus_is_there(capsys, monkeypatch):
    monkeypatch.setattr(config, "INDEX", ROOT / "sernb" / "corpora" / "indexes")
    assert main(["fetch", "demo"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"demo is already in {DEMO.home}: nothing to fetch\n")
    assert "problems: 0" in out


@pytest.fixture
def without_checksums(tmp_path, server) -> tuple[Corpus, dict[str, bytes]]:
    """A corpus whose names alone are published, in an archive on the server, with what it holds."""
    corpus = by_rule(get_corpus("cafe"), tmp_path / "made", r"(Colère|Peur)/.*/0[12]-.*-1\.wav")
    files = held(tmp_path / "made")
    return by_archive(corpus, server, zipped({f"CaFE_48k/{path}": content for path, content in files.items()})), files


def test_an_archive_of_files_without_checksums_is_held_to_its_own_and_to_the_names(without_checksums, tmp_path, server):
    corpus, files = without_checksums
    said: list[str] = []
    target = fetch(corpus, announce=said.append)
    assert held(target) == files
    assert said == [f"cafe: 8 files fetched, in {target}"]
    path = next(iter(files))
    (target / path).unlink()
    fetch(corpus, announce=said.append)
    assert held(target) == files
    assert said[1].startswith("7 other files were left in the archive: ")
    assert said[2:] == [f"cafe: 1 files fetched, in {target}"]
    wrong = dataclasses.replace(corpus.archive, checksum=f"md5:{'0' * 32}")
    assert "its md5 is" in refusal(dataclasses.replace(corpus, archive=wrong), into=tmp_path / "other")
    unknown = dataclasses.replace(corpus.archive, checksum="")
    fetch(dataclasses.replace(corpus, archive=unknown), into=tmp_path / "third", announce=said.append)
    assert "no checksum of mini.zip is published: its file names are compared, not its bytes" in said
    assert held(tmp_path / "third") == files


def test_what_is_larger_than_any_recording_is_not_taken_out(without_checksums, tmp_path, monkeypatch):
    corpus, _ = without_checksums
    monkeypatch.setattr("sernb.runtime.archive.LARGEST_ENTRY", 1000)
    assert "more than any recording" in refusal(corpus)
    assert beside(tmp_path / "raw" / "cafe") == []


def test_tables_and_recordings_of_emozionalmente_come_together(tmp_path, server):
    files = held(emozionalmente(tmp_path / "made"))
    packed = {f"emozionalmente/{path}": content for path, content in files.items()}
    packed |= {"__MACOSX/emozionalmente/audio/._1613000000000.wav": b"x", "emozionalmente/README.md": b"x"}
    corpus = by_archive(get_corpus("emozionalmente"), server, zipped(packed), bytes=None)
    said: list[str] = []
    target = fetch(corpus, announce=said.append)
    assert held(target) == files
    assert said[-1] == f"emozionalmente: {len(files)} files fetched, in {target}"
    asked = len(server.asked)
    fetch(corpus, announce=said.append)
    assert (said[-1], len(server.asked)) == (f"emozionalmente: 0 files fetched, in {target}", asked)


def test_what_owners_hand_out_is_explained(mini):
    corpus = dataclasses.replace(mini, on_request="ask its owners at https://example.org; put the files into DIR")
    assert refusal(corpus) == "mini: cannot be fetched; ask its owners at https://example.org; put the files into DIR"


def test_the_command_fetches_and_checks(archived, contents, target, monkeypatch, capsys):
    monkeypatch.setattr(registry, "get_corpus", lambda name: archived)
    assert main(["fetch", "mini"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out == [
        f"mini: 6 files fetched, 0 were there, in {target}",
        "mini: 6 published clips, problems: 0, notes: 0",
    ]
    (target / "extra.wav").write_bytes(b"x")
    assert main(["fetch", "mini", "--into", str(target)]) == 1
    assert "extra.wav" in capsys.readouterr().out


# Two at once, passwords, steps down


def test_two_that_fetch_the_same_wait_for_each_other(archived, contents, target, server):
    server.always = {"slow": 0.002}
    said: list[str] = []
    threads = [
        threading.Thread(target=fetch, args=(archived,), kwargs={"retry_policy": HASTY, "announce": said.append})
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert held(target) == contents
    assert beside(target) == ["mini"]
    assert server.ranges == [""], "only one has downloaded"
    assert sorted(line.split(": ")[1].split(" files")[0] for line in said) == ["0", "0", "6"]


@pytest.mark.parametrize("plan", [{"status": 404}, {"status": 500}, {"cut": 5000}, {"content": b"<p>no</p>"}, {}])
def test_a_password_is_sent_and_never_said(plan, mini, contents, server, capsys, target):
    server.files["/mini.zip"] = zipped(contents)
    server.always = plan | ({"ranges": False} if "cut" in plan else {})
    url = f"{server.address.replace('//', '//me:geheim@')}/mini.zip?access_token=geheim&v=1"
    server.files["/mini.zip?access_token=geheim&v=1"] = server.files["/mini.zip"]
    corpus = dataclasses.replace(mini, archive=None)
    if plan:
        said = refusal(corpus, url=url)
        assert f"{server.address}/mini.zip?access_token=…&v=1: " in said
    else:
        fetch(corpus, url=url, retry_policy=HASTY)
        assert held(target) == contents
        said = ""
    captured = capsys.readouterr()
    assert "geheim" not in said + captured.out + captured.err
    assert server.asked[0][1]["Authorization"] == "Basic bWU6Z2VoZWlt"


@pytest.mark.parametrize(
    "url", ["https://me:geheim@", "http://me:ge/heim@host:9/x", "ftp://me:geheim@host/x", "https://me:geheim@[/", "http://me:geheim@127.0.0.1:9/ä"]
)  # fmt: skip
def test_a_password_in_an_address_that_is_none_is_not_said(url, mini, capsys):
    assert "heim" not in refusal(mini, url=url) + "".join(capsys.readouterr())


def test_a_redirection_gets_no_password(mini, contents, server, target):
    server.files["/mini.zip"] = zipped(contents)
    server.plans["/old.zip"] = [{"status": 302, "headers": {"Location": "/mini.zip"}}]
    fetch(mini, url=f"{server.address.replace('//', '//me:geheim@')}/old.zip", retry_policy=HASTY)
    assert [headers.get("Authorization") for _, headers in server.asked] == ["Basic bWU6Z2VoZWlt", None]
    assert held(target) == contents


def test_no_redirection_leads_from_https_to_http():
    redirect = download_module._Redirects().redirect_request
    request = urllib.request.Request("https://me:geheim@a.org/x")
    for place in ("http://b.org/x", "HTTP://127.0.0.1/x", "ftp://b.org/x"):
        with pytest.raises(DataError, match=r"https://a.org/x: redirects from https to .*; not followed"):
            redirect(request, None, 302, "Found", {}, place)
    assert redirect(request, None, 302, "Found", {}, "https://b.org/y").full_url == "https://b.org/y"


@pytest.mark.parametrize("size", ["published", "unknown"])
@pytest.mark.parametrize("trouble", ["more than the range", "less than published, length unknown", "packed"])
def test_what_comes_is_counted(trouble, size, mini, contents, server, target):
    published = {} if size == "published" else {"bytes": None, "checksum": ""}
    corpus, whole = by_archive(mini, server, zipped(contents), **published), zipped(contents)
    if trouble == "more than the range":
        rest = {"Content-Range": f"bytes 5000-{len(whole) - 1}/{len(whole)}", "ETag": '"1"'}
        server.plans["/mini.zip"] = [
            {"cut": 5000, "etag": '"1"'}, {"status": 206, "headers": rest, "body": whole[5000:] + bytes(9)},
        ]  # fmt: skip
        if published == {}:
            assert "sends more than the allowed" in refusal(corpus)
    elif trouble == "packed":
        server.always = {"status": 200, "headers": {"Content-Encoding": "gzip"}}
        assert "is sent compressed (gzip), which was not requested" in refusal(corpus)
        return
    elif size == "published":
        server.plans["/mini.zip"] = [{"content": whole[:-20_000], "chunked": True}]
    fetch(corpus, retry_policy=HASTY)
    assert held(target) == contents
