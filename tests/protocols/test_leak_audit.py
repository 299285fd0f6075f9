"""The leak audit of anyone's split: each leak that is planted is found, and clean splits are clean."""

import json

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.model_selection import KFold

from sernb.__main__ import main
from sernb.audio import similarity
from sernb.audio.reading import load
from sernb.audio.similarity import NEAR, SimilarRecordings, find_similar, fingerprint
from sernb.config import DataError
from sernb.corpora.local_index import read_index
from sernb.corpora.registry import CORPORA, get_corpus
from sernb.features import LogMel
from sernb.protocols import leak_audit
from sernb.protocols.external_split import read_split
from sernb.protocols.folds import Fold
from sernb.protocols.leak_audit import find_leaks
from sernb.protocols.protocol import PROTOCOLS

RATE = 16_000
UTTERANCE = ["speaker", "emotion", "intensity", "sentence"]


def table(**columns):
    """Ten clips of five speakers: two train, one validates, two are tested."""
    rows = pd.DataFrame(
        {
            "clip": [f"clip-{n}" for n in range(10)],
            "part": ["train"] * 4 + ["val"] * 2 + ["test"] * 4,
            "speaker": [f"speaker-{n // 2}" for n in range(10)],
            "emotion": ["happy", "sad"] * 5,
            "sentence": "dogs",
            "sha256": [f"{n:064x}" for n in range(10)],
            "origin": "",
            "segment": "no",
            "statistics": ["yes"] * 4 + ["no"] * 6,
        }
    )
    return rows.assign(**columns)


def added(rows, **values):
    """The split with one more training clip, of a speaker of its own."""
    new = {"clip": "new", "part": "train", "speaker": "nobody", "sha256": "ff", "segment": "no", "statistics": "yes"}
    return pd.concat([rows, pd.DataFrame([new | values])], ignore_index=True).fillna("")


@pytest.fixture
def split(tmp_path):
    """A maker of split files."""

    def make(rows, name="split.csv"):
        rows.to_csv(tmp_path / name, index=False)
        return tmp_path / name

    return make


def found_in(file, **options):
    return {leak.kind: leak.count for _, leak in read_split(file, **options).leaks()}


def test_a_clean_split_is_clean_and_everything_but_its_sound_was_looked_for(split, capsys):
    file = split(table())
    assert main(["audit", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "not looked for: near-identical sound (no recordings found; name their folder with --data)",
        f"{file}: 10 clips, leaks: 0, notes: 0",
    ]


PLANTED = {
    "same speaker": (added(table(), speaker="speaker-3"), {"speaker also in training": 2}),
    "augmented copy": (added(table(), origin="clip-7"), {"augmented copy in training": 1}),
    "copy of a copy": (
        added(added(table(), clip="older", part="val", speaker="other", origin="clip-7.wav"), origin="older"),
        {"augmented copy in training": 1},
    ),
    "second segment": (
        added(table().replace({"origin": {"": "long"}}).assign(
            origin=["long" if n == 6 else "" for n in range(10)],
            segment=["yes" if n == 6 else "no" for n in range(10)],
        ), origin="long", segment="yes"),
        {"segment of the same recording in training": 1},
    ),
    "byte-identical": (added(table(), sha256=f"{8:064X}"), {"byte-identical sound in training": 1}),
    "fitted statistics": (
        table(statistics=["yes"] * 7 + ["no"] * 3),
        {"test clip in fitted statistics": 1},
    ),
    "other take": (
        added(table(), speaker="speaker-4", emotion="sad", sentence="dogs"),
        {"speaker also in training": 2, "other take of the same utterance in training": 1},
    ),
    "clip in both parts": (
        added(table(), clip="clip-9", speaker="speaker-4", sha256=f"{9:064x}", emotion="sad", sentence="dogs"),
        {"clip also in training": 1, "speaker also in training": 2, "test clip in fitted statistics": 1},
    ),
    "validation is test": (
        added(table(), clip="clip-9", part="dev", speaker="speaker-4", statistics="no"),
        {"test clip chooses the epoch": 1, "speaker also in validation": 2},
    ),
    "validation speaker in training": (
        added(table(), speaker="speaker-2"),
        {"validation speaker also in training": 2},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("rows", "expected"), PLANTED.values(), ids=PLANTED)
def test_what_is_planted_is_found_and_nothing_else(split, capsys, rows, expected):
    file = split(rows)
    assert found_in(file) == expected
    assert main(["audit", str(file)]) == 1
    lines = capsys.readouterr().out.splitlines()
    leaks = [line for line in lines if line.startswith("leak: ")]
    for kind, count in expected.items():
        assert any(f"leak: {kind}: {count} " in line for line in leaks)
    assert lines[-1] == f"{file}: {rows['clip'].nunique()} clips, leaks: {len(expected)}, notes: 0"


def test_near_identical_sound_is_found_and_the_recordings_are_hashed(split, tmp_path, rng):
    """Noise that swells and fades, as speech does; a copy that is quieter, later and has silence around it."""
    sounds = {}
    for n in range(10):
        swell = np.interp(np.arange(2 * RATE), np.arange(0, 2 * RATE, 1600), rng.random(20))
        sounds[f"sound/{n}.wav"] = 0.3 * swell * rng.standard_normal(2 * RATE)
    copy = np.concatenate([np.zeros(1717), 0.4 * sounds["sound/8.wav"], np.zeros(900)])
    sounds["sound/new.wav"] = copy
    (tmp_path / "sound").mkdir()
    for name, sound in sounds.items():
        soundfile.write(tmp_path / name, sound, RATE)
    clean = table(path=[f"sound/{n}.wav" for n in range(10)]).drop(columns=["clip", "sha256"])
    assert found_in(split(clean)) == {}
    leaky = added(clean, path="sound\\new.wav").drop(columns=["clip", "sha256"])
    assert found_in(split(leaky)) == {"near-identical sound in training": 1}
    twice = added(clean, path="sound/new.wav").drop(columns=["clip", "sha256"])
    (tmp_path / "sound" / "new.wav").write_bytes((tmp_path / "sound" / "9.wav").read_bytes())
    same = {"byte-identical sound in training": 1, "near-identical sound in training": 1}
    assert found_in(split(twice)) == same
    elsewhere = tmp_path / "elsewhere" / "split.csv"
    elsewhere.parent.mkdir()
    twice.to_csv(elsewhere, index=False)
    assert found_in(elsewhere) == {}
    assert found_in(elsewhere, data=tmp_path) == same
    (tmp_path / "sound" / "3.wav").write_bytes(b"")
    unchecked = "; ".join(read_split(elsewhere, data=tmp_path).unchecked)
    assert "near-identical sound of 1 clips" in unchecked
    assert "3.wav: is empty" in unchecked


def test_speakers_that_are_shared_on_purpose_are_notes(split, capsys):
    rows = added(table(), speaker="speaker-4", emotion="sad", sentence="dogs")
    assert main(["audit", str(split(rows)), "--allow-speakers"]) == 0
    out = capsys.readouterr().out
    assert "note: speaker also in training: 2 test clips (clip-8, clip-9)" in out
    assert "leaks: 0, notes: 2" in out
    assert main(["audit", str(split(added(rows, clip="copy", origin="clip-6"))), "--allow-speakers"]) == 1


def test_findings_can_be_read_by_programs(split, capsys):
    file = split(added(table(), origin="clip-7").drop(columns="statistics"))
    assert main(["audit", str(file), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["findings"] == [
        {"level": "leak", "fold": "", "kind": "augmented copy in training", "clips": 1, "examples": ["clip-7"]}
    ]
    assert (told["clips"], told["folds"]) == (11, 1)
    assert any("statistics" in what for what in told["not looked for"])


def test_a_split_that_does_not_tell_copies_from_segments_still_leaks(split):
    file = split(added(table(), origin="clip-7").drop(columns="segment"))
    assert found_in(file) == {"copy or segment of a training clip": 1}


def test_what_is_not_known_is_not_shared(split):
    """Two clips without a speaker are not by one speaker."""
    file = split(table(speaker="", sha256="", sentence=""))
    assert found_in(file) == {}
    unchecked = read_split(file).unchecked
    assert any(what.startswith("shared speakers (10 of 10 clips") for what in unchecked)


# -- Splits of corpora -- #


@pytest.mark.slow
@pytest.mark.parametrize("corpus", CORPORA)
def test_clean_splits_of_every_corpus_are_clean(split, corpus):
    try:
        index = read_index(get_corpus(corpus))
    except DataError as absent:
        pytest.skip(str(absent))
    rows = []
    for number, fold in enumerate(get_corpus(corpus).speaker_folds):
        part = np.select([index.speaker.isin(fold.test), index.speaker.isin(fold.validation)], ["test", "val"], "train")
        statistics = np.where(part == "train", "yes", "no")
        rows.append(pd.DataFrame({"clip": index["clip"], "part": part, "fold": number, "statistics": statistics}))
    file = split(pd.concat(rows))
    found = read_split(file, corpus=corpus)
    assert found.leaks() == []
    assert len(found.folds) == len(get_corpus(corpus).speaker_folds) > 0


def test_the_random_split_of_ravdess_shares_all_speakers_and_most_takes(split, capsys):
    """The ten folds of multiscale-cnn: of 1440 clips tested, how many have their speaker or their twin in training."""
    index = read_index(get_corpus("ravdess"))
    fold = np.empty(len(index), int)
    for number, (_, test) in enumerate(KFold(10, shuffle=True, random_state=46).split(index)):
        fold[test] = number
    file = split(pd.DataFrame({"path": index["path"], "fold": fold}))
    assert main(["audit", str(file), "--corpus", "ravdess"]) == 1
    out = capsys.readouterr().out
    twin_is_trained = index.assign(fold=fold).groupby(UTTERANCE)["fold"].transform("nunique") > 1
    assert twin_is_trained.sum() == 1290
    assert "leak: other take of the same utterance in training: 1290 test clips" in out
    assert "leak: speaker also in training: 1440 test clips" in out
    assert "leak: byte-identical sound in training: 2 test clips" in out, "actor 7's two takes are one file"
    assert "in 10 of 10 folds" in out


def test_copies_of_corpus_clips_are_known_by_their_origin(split):
    clips = read_index(get_corpus("ravdess"))
    by_speaker = clips.groupby("speaker")["clip"].first()
    rows = pd.DataFrame({"clip": [by_speaker.iloc[0], "slower"], "part": ["test", "train"]})
    rows["origin"] = ["", f"Actor_01/{by_speaker.iloc[0]}.wav"]
    assert found_in(split(rows), corpus="ravdess") == {
        "copy or segment of a training clip": 1,
        "speaker also in training": 1,
    }


def test_a_protocol_allows_what_it_has_by_design():
    clips = read_index(get_corpus("ravdess"))
    own = clips["clip"][clips.speaker == "ravdess-01"]
    fold = Fold(0, tuple(own[::2]), (), tuple(own[1::2]))
    for protocol in PROTOCOLS.values():
        for leak in leak_audit.audit(clips, fold, protocol):
            assert leak.allowed is (leak.kind in protocol.by_design)


# -- Sound -- #


def altered(signal, rng):
    """Copies of a recording as they circulate."""
    loud = np.flatnonzero(np.convolve(signal**2, np.ones(400), "same") > 400 * 1e-3 * (signal**2).max() / 10)
    trimmed = signal[max(loud[0] - 800, 0) : loud[-1] + 800]
    return {
        "quieter": 0.2 * signal,
        "100 ms later": np.concatenate([np.zeros(1600, np.float32), signal]),
        "65 ms cut off": signal[1040:],
        "trimmed": trimmed,
        "padded": np.pad(trimmed, 8000),
        "with noise at 30 dB": signal + rng.standard_normal(len(signal)) * signal.std() * 10 ** (-30 / 20),
    }


def test_copies_are_told_from_takes(recordings, rng):
    """Two actors' 120 clips: no two recordings are near, and each copy is near its own."""
    log_mel = LogMel()
    paths = sorted(path for actor in ("01", "23") for path in (recordings / "ravdess" / f"Actor_{actor}").glob("*.wav"))
    signals = {path.stem: load(path, RATE) for path in paths}
    pictures = {clip: fingerprint(log_mel(signal)).astype(float) for clip, signal in signals.items()}
    names = list(pictures)
    alike = np.einsum("akd,bkd->abk", *[np.stack(list(pictures.values()))] * 2).max(axis=2)
    np.testing.assert_allclose(np.diagonal(alike), 1, atol=2e-3)
    assert (alike - 2 * np.eye(len(names))).max() < NEAR - 0.02
    for clip in names[::20]:
        for kind, copy in altered(signals[clip], rng).items():
            likeness = (fingerprint(log_mel(copy.astype(np.float32))) * pictures[clip]).sum(axis=1).max()
            assert likeness > NEAR + 0.01, (clip, kind)


def test_blocks_find_what_one_comparison_would(monkeypatch, rng):
    """Memory stays small by comparing blocks: at their borders nothing is lost, and unknown clips are passed over."""
    pictures = rng.standard_normal((40, 3, 30))
    pictures[35] = pictures[2]
    pictures[21, 1] = pictures[8, 1]
    pictures /= np.linalg.norm(pictures, axis=2, keepdims=True)
    known = {f"clip-{n}": picture.astype(np.float16) for n, picture in enumerate(pictures) if n not in (5, 39)}
    names = [f"clip-{n}" for n in range(40)]
    monkeypatch.setattr(similarity, "BLOCK", 7)
    clips = pd.DataFrame({"clip": names, "speaker": names, "sha256": names, "emotion": "", "intensity": "",
                          "sentence": ""})  # fmt: skip
    fold = Fold(0, tuple(names[:20]), (), tuple(names[20:]))
    monkeypatch.setattr(similarity, "COMPONENTS", 4)
    alike = SimilarRecordings(
        {clip: number for number, clip in enumerate(known)}, find_similar(np.stack(list(known.values())))
    )
    (leak,) = find_leaks(clips, fold, allowed=(), statistics_from=(), similar=alike)
    assert (leak.kind, leak.examples) == ("near-identical sound in training", ("clip-21", "clip-35"))


# -- Places -- #


def test_recordings_are_found_by_name_where_one_file_alone_has_it(split, tmp_path, capsys):
    demo = get_corpus("demo")
    index = read_index(demo)
    for place, path in zip(("a/one.flac", "b/two.flac", "b/one.flac"), index["path"], strict=False):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_bytes((demo.home / path).read_bytes())
    rows = pd.DataFrame({"path": ["one.flac", "two.flac"], "part": ["train", "test"]})
    found = read_split(split(rows))
    assert found.clips.sha256.tolist() == ["", index.sha256[1]]
    assert any("one.flac (is missing, and its name is 2 times elsewhere" in what for what in found.unchecked)
    (tmp_path / "b/one.flac").unlink()
    assert read_split(split(rows)).clips.sha256.tolist() == index.sha256[:2].tolist()


def test_speakers_with_nearly_equal_names_are_noted(split, capsys):
    rows = pd.DataFrame({"path": ["a.wav", "b.wav"], "part": ["train", "test"], "speaker": ["Spk1", "spk1"]})
    assert main(["audit", str(split(rows)), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["findings"] == [
        {
            "level": "note", "fold": "", "kind": "speakers with nearly equal names", "clips": 0,
            "examples": ["Spk1", "spk1"],
        }
    ]  # fmt: skip


def test_the_line_that_is_named_is_the_files(split, tmp_path):
    file = tmp_path / "split.csv"
    file.write_text("sep=;\n\nclip;part\na;train\n\n;;\nb;both\n")
    with pytest.raises(DataError, match="line 7: part 'both' is none of"):
        read_split(file)


# -- What cannot be audited -- #


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (table(part="both"), r"line 2: part 'both' is none of train, .*test, testing \(and 9 more\)"),
        (table(segment="perhaps"), "line 2: segment 'perhaps' is none of yes"),
        (table(clip=["", *"abcdefghi"]), "line 2: names no clip"),
        (table().drop(columns=["clip", "part"]), "required are clip or path, and part or fold"),
        (table()[:0], "has no rows"),
        (table(part="train"), "the split has no clips to test"),
        (table(part="test"), "the split has no clips to train on"),
        (table(origin=["clip-1", "clip-0", *[""] * 8]), "clip-0: its origin was made from it"),
    ],
)
def test_a_split_that_cannot_be_understood_is_named_with_its_line(split, rows, line):
    with pytest.raises(DataError, match=line):
        read_split(split(rows)).leaks()


def test_a_clip_that_no_corpus_has_is_named(split, capsys):
    assert main(["audit", str(split(table())), "--corpus", "demo"]) == 1
    assert "line 2: 'clip-0' is not a clip of demo" in capsys.readouterr().err


def test_files_that_are_no_splits_are_one_line(tmp_path, capsys):
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    (tmp_path / "empty.csv").write_bytes(b"")
    for name in ("binary.csv", "empty.csv", "missing.csv"):
        assert main(["audit", str(tmp_path / name)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert name in line


def test_a_folder_without_the_recordings_is_refused(split, tmp_path):
    with pytest.raises(DataError, match="holds none of the recordings"):
        read_split(split(table(path=[f"{n}.wav" for n in range(10)])), data=tmp_path)


def test_no_split_is_wrong_usage(capsys):
    assert main(["audit"]) == 2
    assert "SPLIT.csv" in capsys.readouterr().err
