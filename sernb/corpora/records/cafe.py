"""CaFE: six female and six male actors from Quebec; six sentences in six emotions at two intensities, and neutral.

File names have actor, emotion, intensity and sentence, as in ``Peur/Fort/12-P-2-5.wav``; the letter is the initial of
the French word. Odd actors are male, even ones female. Neutral has no intensity folder: ``Neutre/01-N-1-1.wav``.
"""

import re
from collections.abc import Iterator, Sequence

from sernb.corpora.record import Archive, Corpus, Labels, fold_groups

EMOTIONS = {
    "Neutre": "neutral", "Joie": "happy", "Tristesse": "sad", "Colère": "angry", "Peur": "fearful",
    "Dégoût": "disgust", "Surprise": "surprised",
}  # fmt: skip
LETTERS = {word[0]: emotion for word, emotion in EMOTIONS.items()}
INTENSITIES = {"1": "Faible", "2": "Fort"}
AGES = (46, 64, 18, 50, 22, 34, 15, 25, 42, 20, 35, 37)  # of the actors 01 to 12

# Test speakers: Ma et al. (2024), arXiv:2406.07162; validation speakers: the first man and woman of the next fold.
EMOBOX = ((1, 7, 8, 10), (2, 4, 9, 12), (3, 5, 6, 11))


def list_paths() -> Iterator[str]:
    """Return every published path."""
    for word in EMOTIONS:
        for intensity, folder in INTENSITIES.items():
            if word == "Neutre" and intensity == "2":
                continue
            parent = word if word == "Neutre" else f"{word}/{folder}"
            for actor in range(1, 13):
                for sentence in range(1, 7):
                    yield f"{parent}/{actor:02d}-{word[0]}-{intensity}-{sentence}.wav"


def describe(match: re.Match) -> Labels:
    """Return the labels in a file name, and the actor's age and gender."""
    actor = int(match["actor"])
    return {
        "speaker": speaker(actor),
        "gender": "male" if actor % 2 else "female",
        "age": AGES[actor - 1],
        "emotion": LETTERS[match["emotion"]],
        "intensity": {"1": "mild", "2": "strong"}[match["intensity"]] if match["emotion"] != "N" else "",
        "sentence": match["sentence"],
    }


def speaker(actor: int) -> str:
    """Return the speaker name of an actor."""
    return f"cafe-{actor:02d}"


def _man_and_woman(group: Sequence[str]) -> tuple[str, str]:
    return tuple(next(each for each in group if int(each[-2:]) % 2 == odd) for odd in (1, 0))


FOLDS = fold_groups([tuple(map(speaker, test)) for test in EMOBOX], _man_and_woman)

CORPUS = Corpus(
    name="cafe",
    title="CaFE",
    about="Canadian French Emotional speech dataset: twelve actors from Quebec, six sentences, six emotions at two "
    "intensities and neutral, studio recordings.",
    citation="Gournay P, Lahaie O, Lefebvre R (2018). A Canadian French Emotional Speech Dataset. Proc. 9th ACM "
    "Multimedia Systems Conference, 399-402. doi:10.1145/3204949.3208121",
    licence="CC BY-NC-SA 4.0",
    homepage="https://zenodo.org/records/1478765",
    get="CaFE_48k.zip from zenodo.org/records/1478765, unpacked into data/raw/cafe",
    pattern=r"(?:Neutre/|(?:Joie|Tristesse|Colère|Peur|Dégoût|Surprise)/(?:Faible|Fort)/)"
    r"(?P<actor>0[1-9]|1[0-2])-(?P<emotion>[NJTCPDS])-(?P<intensity>[12])-(?P<sentence>[1-6])\.wav",
    describe=describe,
    emotions=tuple(EMOTIONS.values()),
    clips=936,
    speakers=12,
    speaker_folds=FOLDS,
    emobox_folds=FOLDS,
    paths=list_paths,
    sampling_rates=(48_000,),
    archive=Archive("CaFE_48k.zip", "https://zenodo.org/records/1478765/files/CaFE_48k.zip?download=1"),
    quirks=(
        "No checksums of single files are published: the index is built from the local copy; a check compares names, "
        "counts and sampling rates.",
        "The recordings are also published at 192 kHz under the same file names (CaFE_192k_1.zip, CaFE_192k_2.zip): do "
        "not mix the two releases.",
        "Some programs garble the accents of the folders (Colère, Dégoût) when unpacking: only file names are used.",
        "C is colère (anger), J joie, T tristesse, P peur (fear), D dégoût, S surprise, N neutre.",
        "Neutral has one intensity and 72 clips; every other emotion has 144 clips.",
    ),
)
