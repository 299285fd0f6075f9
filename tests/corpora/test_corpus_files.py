"""Copies of a corpus are found in every layout that is around, and each clip's file under every name."""

import shutil
import unicodedata
from pathlib import Path

import pytest

from sernb.config import ROOT, DataError
from sernb.corpora.check import check
from sernb.corpora.files import find_files, locate, match_files
from sernb.corpora.local_index import read_index
from sernb.corpora.registry import get_corpus

DEMO, RAVDESS = get_corpus("demo"), get_corpus("ravdess")


@pytest.fixture
def laid_out(tmp_path):
    """A maker of folders with the names of a corpus's files and nothing in them."""

    def make(folder: str, clips: int = 3, corpus=RAVDESS, spell=str) -> Path:
        for name in read_index(corpus).path[:clips]:
            path = tmp_path / folder / spell(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / folder

    return make


def refused(data: Path, corpus=RAVDESS) -> str:
    with pytest.raises(DataError) as caught:
        locate(corpus, data)
    (line,) = caught.value.args
    assert "\n" not in line
    return line


def test_a_copy_is_found_in_the_folder_or_under_its_name(laid_out, tmp_path):
    copy = laid_out("data/ravdess")
    assert locate(RAVDESS, tmp_path / "data") == copy
    assert locate(RAVDESS, str(copy)) == copy


def test_the_environment_names_the_folder_and_an_argument_comes_first(laid_out, tmp_path, monkeypatch):
    laid_out("one/ravdess")
    laid_out("two/ravdess")
    monkeypatch.setenv("SERNB_DATA", str(tmp_path / "one"))
    assert locate(RAVDESS) == tmp_path / "one" / "ravdess"
    assert locate(RAVDESS, tmp_path / "two") == tmp_path / "two" / "ravdess"


@pytest.mark.parametrize("folder", ["with spaces", "Gefühle 感情", "a'quote", "[brackets] {braces}"])
def test_any_name_of_a_folder_will_do(laid_out, tmp_path, folder):
    copy = laid_out(f"{folder}/ravdess")
    assert locate(RAVDESS, tmp_path / folder) == copy


def test_a_link_to_a_copy_is_followed(laid_out, tmp_path):
    copy = laid_out("elsewhere")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ravdess").symlink_to(copy, target_is_directory=True)
    assert locate(RAVDESS, tmp_path / "data") == tmp_path / "data" / "ravdess"


def test_the_home_of_the_demo_is_used_unless_a_folder_is_named(demo_copy, monkeypatch, tmp_path):
    monkeypatch.setenv("SERNB_DATA", str(tmp_path / "nowhere"))
    assert locate(DEMO) == ROOT / "data" / "demo"
    assert locate(DEMO, "") == ROOT / "data" / "demo"
    assert locate(DEMO, demo_copy.parent) == demo_copy


def test_a_missing_folder_is_named_with_the_way_to_get_the_corpus(tmp_path):
    line = refused(tmp_path / "nowhere")
    assert line.startswith(f"{tmp_path / 'nowhere'}: no such folder for the recordings of RAVDESS; get it (")
    assert "zenodo.org/records/1188976" in line
    assert "--data" in line


@pytest.mark.parametrize("inner", ["", "ravdess"])
def test_an_empty_folder_is_called_empty(tmp_path, inner):
    (tmp_path / "data" / inner).mkdir(parents=True)
    line = refused(tmp_path / "data")
    assert line.startswith(f"{tmp_path / 'data' / inner}: is empty; get it (")


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "ravdess.zip").write_bytes(b"PK")
    line = refused(tmp_path / "ravdess.zip")
    assert line.startswith(f"{tmp_path / 'ravdess.zip'}: is a file, not a folder with the recordings of RAVDESS; ")


def test_a_folder_of_other_things_holds_no_recordings(tmp_path):
    (tmp_path / "data" / "Actor_01").mkdir(parents=True)
    (tmp_path / "data" / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    line = refused(tmp_path / "data")
    assert line.startswith(f"{tmp_path / 'data'}: holds no recordings of RAVDESS; get it (")


def test_one_corpus_is_not_taken_for_another_with_the_same_folders(laid_out, tmp_path):
    laid_out("data/ravdess")
    assert "holds no recordings of the demo corpus" in refused(tmp_path / "data", DEMO)
    assert "holds no recordings of the demo corpus" in refused(tmp_path / "data" / "ravdess", DEMO)


@pytest.mark.parametrize("outer", ["data", "data/ravdess"])
def test_a_copy_one_level_deeper_is_used(laid_out, tmp_path, outer):
    deeper = laid_out(f"{outer}/audio_speech_actors_01-24")
    assert locate(RAVDESS, tmp_path / "data") == deeper
    assert locate(RAVDESS, deeper) == deeper


def test_of_a_doubled_tree_the_outer_copy_is_used(laid_out, tmp_path):
    copy = laid_out("data/ravdess", clips=1440)
    laid_out("data/ravdess/audio_speech_actors_01-24", clips=1440)
    assert locate(RAVDESS, tmp_path / "data") == copy
    files = find_files(RAVDESS, copy, read_index(RAVDESS))
    assert len(files) == 1440
    assert not [path for path in files.values() if "audio_speech" in str(path)]


@pytest.mark.parametrize(("outer", "inner"), [(1440, 3), (3, 1440)])
def test_of_two_copies_the_complete_one_is_used(laid_out, tmp_path, outer, inner):
    first = laid_out("data/ravdess", clips=outer)
    second = laid_out("data/ravdess/audio_speech_actors_01-24", clips=inner)
    assert locate(RAVDESS, tmp_path / "data") == (first if outer == 1440 else second)


def test_two_copies_that_are_both_incomplete_are_refused(laid_out, tmp_path):
    first, second = laid_out("data/ravdess"), laid_out("data/ravdess/audio_speech_actors_01-24")
    line = refused(tmp_path / "data")
    assert line.startswith(f"{first}: holds RAVDESS more than once, in '{first}' and '{second}', and none is complete")
    assert "pass one of them with --data" in line


def test_two_complete_copies_side_by_side_are_refused(laid_out, tmp_path):
    copies = [laid_out(f"data/{name}", clips=1440) for name in ("a", "b")]
    line = refused(tmp_path / "data")
    assert f"in '{copies[0]}' and '{copies[1]}', and each is complete; pass one" in line
    assert locate(RAVDESS, copies[1]) == copies[1]


def test_what_macos_adds_to_an_archive_is_no_second_copy(laid_out, tmp_path):
    copy = laid_out("data/ravdess")
    shadow = copy / "__MACOSX" / "Actor_01" / "._03-01-01-01-01-01-01.wav"
    shadow.parent.mkdir(parents=True)
    shadow.write_bytes(b"\0\5\x16\7")
    assert locate(RAVDESS, tmp_path / "data") == copy
    assert not [finding for finding in check(RAVDESS, copy) if "MACOSX" in finding.path]


# Other names


def kaggle_savee(path: str) -> str:
    return f"ALL/{path.replace('/', '_')}"


def kaggle_tess(path: str) -> str:
    folder, name = path.split("/")
    folder = {"OAF_Pleasant_surprise": "OAF_Pleasant_surprised", "OAF_Fear": "OAF_fear"}.get(folder, folder)
    return f"TESS Toronto emotional speech set data/{folder}/{name}"


SPELLINGS = {
    "capital suffix": ("ravdess", lambda path: path.replace(".wav", ".WAV")),
    "no capitals": ("ravdess", str.lower),
    "one X": ("crema_d", lambda path: path.replace("1040_ITH_SAD_XX", "1040_ITH_SAD_X")),
    "no folder": ("crema_d", lambda path: path.removeprefix("AudioWAV/")),
    "no folder, one X": ("crema_d", lambda path: path[len("AudioWAV/") :].replace("1040_ITH_SAD_XX", "1040_ITH_SAD_X")),
    "one folder for all men": ("savee", kaggle_savee),
    "within that folder": ("savee", lambda path: path.replace("/", "_")),
    "one level deeper": ("savee", lambda path: f"AudioData/{path}"),
    "other folder names": ("tess", kaggle_tess),
    "corrected name": ("tess", lambda path: path.replace("OA_bite", "OAF_bite")),
    "German, no folder": ("emodb", lambda path: path.removeprefix("wav/")),
}


@pytest.mark.slow
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_clip_is_found_under_names_that_copies_have(laid_out, tmp_path, spelling):
    name, spell = SPELLINGS[spelling]
    corpus = get_corpus(name)
    laid_out(f"data/{name}", corpus.clips, corpus, spell)
    folder = locate(corpus, tmp_path / "data")
    index = read_index(corpus)
    files = find_files(corpus, folder, index)
    assert list(files) == index["clip"].tolist()
    assert all(path.is_file() for path in files.values())
    assert len(set(files.values())) == corpus.clips
    wanted = tmp_path / "data" / name
    assert {path.relative_to(wanted).as_posix() for path in files.values()} == set(map(spell, index.path))


def test_the_published_name_comes_before_others(laid_out):
    savee = get_corpus("savee")
    copy = laid_out("savee", 480, savee)
    laid_out("savee", 480, savee, kaggle_savee)
    files = find_files(savee, copy, read_index(savee))
    assert files["DC_a01"] == copy / "DC" / "a01.wav"


def test_clips_that_are_not_there_have_no_file(laid_out, tmp_path):
    copy = laid_out("data/ravdess")
    assert list(find_files(RAVDESS, copy, read_index(RAVDESS))) == read_index(RAVDESS)["clip"].tolist()[:3]


def test_a_copy_is_found_whatever_lies_beside_it(laid_out, tmp_path):
    for name in ("ravdess", "crema_d", "tess", "savee", "emodb"):
        laid_out(f"data/{name}", 3, get_corpus(name))
    for name in ("ravdess", "crema_d", "tess", "savee", "emodb"):
        assert locate(get_corpus(name), tmp_path / "data") == tmp_path / "data" / name
    shutil.rmtree(tmp_path / "data" / "savee")
    assert "holds no recordings of SAVEE" in refused(tmp_path / "data", get_corpus("savee"))


# Files in other folders, found by their names

SORTED = {
    "emotion folders": ("emodb", lambda path: f"{path[9]}/{path.removeprefix('wav/')}"),  # wav/03a01Fa.wav
    "emotion folders, two deep": ("emodb", lambda path: f"all/{path[9]}/{path.removeprefix('wav/')}"),
    "two folders deep": ("tess", lambda path: f"TESS/data/{kaggle_tess(path)}"),
    "by emotion alone": ("tess", lambda path: f"{path.rpartition('_')[2][:-4]}/{path.rpartition('/')[2]}"),
    "one folder deep for each actor": ("ravdess", lambda path: f"a/b/{path}"),
    "a part of it": ("emodb", lambda path: f"{path[9]}/{path.removeprefix('wav/')}"),
}


@pytest.mark.parametrize("layout", SORTED)
def test_files_sorted_into_folders_of_ones_own_are_found_by_name(laid_out, tmp_path, layout):
    name, spell = SORTED[layout]
    corpus = get_corpus(name)
    clips = 300 if layout == "a part of it" else corpus.clips
    laid_out(f"data/{name}", clips, corpus, spell)
    folder = locate(corpus, tmp_path / "data")
    assert folder == tmp_path / "data" / name
    files = find_files(corpus, folder, read_index(corpus))
    index = read_index(corpus).head(clips)
    assert {clip: path.relative_to(folder).as_posix() for clip, path in files.items()} == {
        clip: spell(path) for clip, path in zip(index["clip"], index["path"], strict=True)
    }


def test_a_name_that_two_files_have_is_not_guessed(laid_out, tmp_path):
    emodb = get_corpus("emodb")
    laid_out("data/emodb/backup", 200, emodb, lambda path: path.removeprefix("wav/"))
    for corpus_part in ("happy", "angry"):
        laid_out(f"data/emodb/{corpus_part}", 3, emodb, lambda path: path.removeprefix("wav/"))
    assert "holds EMO-DB more than once" in refused(tmp_path / "data", emodb)


def test_what_a_check_says_of_a_name_that_two_files_have(laid_out):
    copy = laid_out("emodb", 10, get_corpus("emodb"))
    first = read_index(get_corpus("emodb")).path[0]
    for folder in ("a", "b"):
        (copy / folder).mkdir()
        (copy / first).rename(copy / folder / "x") if folder == "b" else None
        (copy / folder / Path(first).name).touch()
    (copy / "b" / "x").unlink()
    (finding,) = (each for each in check(get_corpus("emodb"), copy) if each.path == first)
    assert finding.kind == "missing"
    assert "its name is 2 times elsewhere" in finding.detail
    assert finding.detail.endswith("; keep one")


def test_names_of_savee_that_several_men_have_are_never_found_without_their_folder(laid_out, tmp_path):
    laid_out("data/savee", 15, get_corpus("savee"), lambda path: f"some/where/{path.rpartition('/')[2]}")
    assert "holds no recordings of SAVEE" in refused(tmp_path / "data", get_corpus("savee"))


def test_letters_are_the_same_however_unicode_composes_them(tmp_path):
    (tmp_path / unicodedata.normalize("NFD", "Zoë")).mkdir()
    (tmp_path / unicodedata.normalize("NFD", "Zoë/é.wav")).touch()
    matched, ambiguous = match_files(tmp_path, {"é": ["Zoë/é.wav"], "bare": ["É.wav"]}, lambda: {})
    assert (list(matched), ambiguous) == (["é"], {})
    found, _ = match_files(tmp_path, {"bare": ["É.wav"]}, lambda: {"bare": ["É.wav"]})
    assert list(found) == ["bare"]


@pytest.mark.parametrize("name", ["._03-01-01-01-01-01-01.wav", ".DS_Store", "Thumbs.db", "desktop.ini"])
def test_hidden_files_are_none(laid_out, tmp_path, name):
    copy = laid_out("data/ravdess")
    (copy / "Actor_01" / name).write_bytes(b"\0\5\x16\7")
    assert not [finding for finding in check(RAVDESS, copy) if name in finding.path]
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / name).touch()
    assert ": is empty; " in refused(tmp_path / "empty")
