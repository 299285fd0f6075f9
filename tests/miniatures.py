"""Small corpora under the names of real ones: synthetic sound, real layout."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import soundfile

from sernb.corpora.index import write_table
from sernb.corpora.local_index import read_index
from sernb.corpora.record import Corpus
from sernb.runtime.files import checksum


def sound(seed: int, *, seconds: float = 1.0, sampling_rate: int = 16_000) -> np.ndarray:
    """Return tones that change ten times a second, other ones for each seed."""
    rng = np.random.default_rng(seed)
    pitch = np.repeat(rng.uniform(100, 4000, round(10 * seconds)), sampling_rate // 10)
    level = np.repeat(rng.uniform(0.05, 0.5, round(10 * seconds)), sampling_rate // 10)
    return level * np.sin(2 * np.pi * np.cumsum(pitch) / sampling_rate)


def miniature(corpus: Corpus, folder: Path, clips: list[str], monkeypatch, *, index_folder: Path) -> Corpus:
    """Write some clips of a corpus and the index of just these; return its record.

    ``index_folder`` becomes the one that holds the committed indexes.
    """
    index = read_index(corpus)
    index = index[index["clip"].isin(clips)].reset_index(drop=True)
    for seed, path in enumerate(index.path):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / path, sound(seed), 16_000)
    commit(corpus, folder, index, monkeypatch, index_folder=index_folder)
    return dataclasses.replace(corpus, clips=len(index), speakers=index.speaker.nunique())


def commit(corpus: Corpus, folder: Path, index, monkeypatch, *, index_folder: Path) -> None:
    """Write an index with the checksums of the files that lie in a folder now."""
    index_folder.mkdir(exist_ok=True)
    index = index.assign(sha256=[checksum(folder / path) for path in index.path])
    write_table(index, index_folder / f"{corpus.name}.csv")
    monkeypatch.setattr("sernb.config.INDEX", index_folder)


# Label files as IEMOCAP's publishers write them, on turns that nobody spoke. The second has CRLF and a Latin-1 letter.
IEMOCAP_LABELS = {
    "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt": """% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]
C-E2:\tNeutral;\t()
C-E3:\tNeutral;\t()
C-E4:\tNeutral;\t()
C-F1:\tNeutral;\t()
A-E3:\tval 3; act 2; dom  2;\t()
A-E4:\tval 2; act 3; dom  3;\t()
A-F1:\tval 3; act 2; dom  1;\t()

[10.0100 - 11.3925]\tSes01F_impro01_M000\txxx\t[3.0000, 2.5000, 3.0000]
C-E2:\tFrustration;\t()
C-E3:\tNeutral;\t(maybe)
C-E4:\tAnger; Frustration;\t()
C-M1:\tNeutral; Frustration; Neutral;\t()
A-E3:\tval 3; act 2; dom  3;\t()
A-E4:\tval 3; act 3; dom  3;\t()
A-M1:\tval ; act 2; dom  2;\t()

[14.8872 - 18.0175]\tSes01F_impro01_F001\texc\t[4.5000, 3.5000, 3.5000]
C-E2:\tExcited;\t()
C-E3:\tExcited; Happiness;\t()
C-E4:\tHappiness; Excited;\t()
C-F1:\tHappiness;\t()
A-E3:\tval 5; act 4; dom  4;\t()
A-E4:\tval 4; act 3; dom  3;\t()

""",
    "Session5/dialog/EmoEvaluation/Ses05M_script02_1.txt": """% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\r
\r
[3.1000 - 40.2000]\tSes05M_script02_1_M030\tsad\t[1.5000, 2.0000, 2.0000]\r
C-E1:\tSadness;\t()\r
C-E2:\tSadness;\t(d\xe9\xe7u)\r
C-E4:\tNeutral state;\t()\r
A-E1:\tval 1; act 2; dom  2;\t()\r
A-E2:\tval 2; act 2; dom  2;\t()\r
\r
[41.0000 - 42.5000]\tSes05M_script02_1_F027\toth\t[3.0000, 3.0000, 3.0000]\r
C-E1:\tOther;\t(curious)\r
C-E2:\tOther;\t()\r
C-E4:\tSurprise;\t()\r
A-E1:\tval 3; act 3; dom  3;\t()\r
A-E2:\tval 3; act 3; dom  3;\t()\r
\r
""",
}
IEMOCAP_TURNS = {
    "Ses01F_impro01_F000": 1.9, "Ses01F_impro01_M000": 1.4, "Ses01F_impro01_F001": 3.1,
    "Ses05M_script02_1_M030": 37.1, "Ses05M_script02_1_F027": 1.5,
}  # fmt: skip


def iemocap(folder: Path) -> Path:
    """Lay out five turns of two sessions as IEMOCAP does, with all that lies beside them; return the folder."""
    for path, text in IEMOCAP_LABELS.items():
        file = folder / path
        for inner in ("Categorical", "Attribute", "Self-evaluation"):
            (file.parent / inner).mkdir(parents=True, exist_ok=True)
            (file.parent / inner / f"{file.stem}_e2_cat.txt").write_text(f"{file.stem}_F000 :Neutral state; ()\n")
        file.write_bytes(text.encode("latin-1"))
        (file.parent / f"._{file.name}").write_bytes(b"\0\5\x16\7")
        dialogue = folder / path.split("/")[0] / "dialog" / "wav" / f"{file.stem}.wav"
        dialogue.parent.mkdir()
        soundfile.write(dialogue, np.stack([sound(90)] * 2, axis=1), 16_000)
    for seed, (turn, seconds) in enumerate(IEMOCAP_TURNS.items()):
        dialogue = turn.rpartition("_")[0]
        file = folder / f"Session{turn[4]}" / "sentences" / "wav" / dialogue / f"{turn}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, sound(seed, seconds=seconds), 16_000, subtype="PCM_16")
    soundfile.write(folder / "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_MXX0.wav", sound(80), 16_000)
    return folder


def by_rule(corpus: Corpus, folder: Path, pattern: str, *, sampling_rate: int = 0) -> Corpus:
    """Write those clips of a corpus of known names whose paths match a pattern; return its record, cut down to them."""
    paths = [path for path in corpus.paths() if re.search(pattern, path)]
    for seed, path in enumerate(paths):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        rate = sampling_rate or corpus.sampling_rates[0]
        soundfile.write(folder / path, sound(seed, seconds=0.5, sampling_rate=rate), rate)
    speakers = {corpus.describe(re.fullmatch(corpus.pattern, path))["speaker"] for path in paths}
    return dataclasses.replace(corpus, paths=lambda: paths, clips=len(paths), speakers=len(speakers))


# As Emozionalmente's publishers write them, on people who do not exist; the second woman gives no age.
EMOZIONALMENTE_USERS = """username,gender,age,mother_tongue
{anna},female,31,italian
{bea},female,,italian
{carlo},male,58,italian
"""
EMOZIONALMENTE_ACTORS = {name: f"{digit}" * 64 for name, digit in (("anna", "a"), ("bea", "b"), ("carlo", "c"))}
EMOZIONALMENTE_WORDS = ("neutrality", "joy", "sadness", "anger", "fear", "disgust", "surprise")


def emozionalmente(folder: Path) -> Path:
    """Lay out two sentences of three speakers in seven emotions, with tables, votes and a split; return the folder."""
    samples, evaluations = ["file_name,sentence,sentence_language,actor,emotion_expressed"], []
    parts = {"train": [samples[0]], "dev": [samples[0]], "test": [samples[0]]}
    for speaker, (actor, part) in enumerate(zip(EMOZIONALMENTE_ACTORS.values(), parts, strict=True)):
        for place, word in enumerate(EMOZIONALMENTE_WORDS):
            for number, sentence in enumerate(('"Sì, certo"', "Che cosa?")):
                seed = 100 * speaker + 10 * place + number
                name = f"16130000{seed:05d}.wav"
                (folder / "audio").mkdir(parents=True, exist_ok=True)
                soundfile.write(folder / "audio" / name, sound(seed), 16_000)
                samples.append(f"{name},{sentence},italian,{actor},{word}")
                parts[part].append(samples[-1])
                # Three listeners of five agree with the actor, two hear what comes next in the list.
                other = EMOZIONALMENTE_WORDS[(place + 1) % 7]
                evaluations += [f"{name},{heard},good,{word if heard < 3 else other}" for heard in range(5)]
    metadata = folder / "metadata"
    (metadata / "split").mkdir(parents=True)
    (metadata / "samples.csv").write_text("\n".join(samples) + "\n", encoding="utf-8")
    (metadata / "users.csv").write_text(EMOZIONALMENTE_USERS.format(**EMOZIONALMENTE_ACTORS), encoding="utf-8")
    header = "file_name,evaluator,audio_quality,emotion_recognized"
    (metadata / "evaluations.csv").write_text("\n".join([header, *evaluations]) + "\n", encoding="utf-8")
    for part, lines in parts.items():
        (metadata / "split" / f"{part}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
