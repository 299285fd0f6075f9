"""Write the card of a model from its metadata: every number on it was measured.

What a user must know comes first. The card omits, or reports as missing, what a model lacks: adaptation, tests on
speakers of another gender or corpus, a domain check.
"""

from collections.abc import Sequence

from sernb.prediction.calibration import COVERAGES, FIRM
from sernb.prediction.card_summary import UNSEEN, describe_inputs, summarise_card
from sernb.prediction.domain_check import VERDICTS

MEANING = """\
A prediction names the acted emotion of the training corpus that a recording is most similar to, according to this
model. It does not say what anybody feels. Feeling an emotion and expressing it are different things; people, languages,
cultures, microphones and rooms differ, and the same sentence can be spoken in the same way for many reasons."""

NOT_FOR = """\
Do not use it to judge, rank, select, monitor or diagnose people: not in hiring, teaching, policing, border control,
insurance, call centres or care. Recognising emotions at work and in education is prohibited in the European Union
(Regulation 2024/1689, article 5). Do not use it on recordings of people who have not consented."""

ROBUST = """\
Every recording is normalised to one level first, and training clips were augmented with other rooms, telephones,
microphones and speeds. """
OWN = "as their owners decide"  # licence of a folder with the user's own recordings
BY_TOOLS = "python -m tools.bundled_models"
OTHER_GENDER = f"{UNSEEN} of another gender and sentence"


def write_card(metadata: dict, folder: str = "") -> str:
    """Return the card of a model as Markdown.

    Args:
        metadata: the content of its ``model.json``
        folder: the section on the files beside the card, if they are not those of a model folder
    """
    figures = metadata["figures"]
    sections = [
        _heading(metadata),
        summarise_card(metadata),
        folder or _usage(metadata),
        _uses(metadata),
        _licence(metadata),
        _held_out(metadata),
        _strangers(figures) if "strangers" in figures else "",
        _foreign(figures["foreign"], bundled=is_bundled(metadata)) if "foreign" in figures else "",
        _certainty(metadata) if "sure" in figures else NOTHING_KNOWN,
        _domain(metadata) if "readiness" in figures else "",
        _making(metadata),
    ]
    return "\n".join(filter(None, sections))


NOTHING_KNOWN = """\
## Confidence and prediction sets

Unknown: there is one training speaker, so the model could not be tested on another. Probabilities are not calibrated,
there are no prediction sets, there is no domain check, and no prediction is ever "not sure". Recordings of one or two
more speakers change that.
"""


def is_bundled(metadata: dict) -> bool:
    """Return whether a model is bundled; the metadata of all others name their command."""
    return "made_by" not in metadata


def is_commercial_use_excluded(metadata: dict) -> bool:
    """Return whether a licence of the training recordings excludes commercial use."""
    return "NC" in metadata["trained_on"]["licence"]


def _heading(metadata: dict) -> str:
    bundled = is_bundled(metadata)
    subtitle = (
        "a small model of acted emotion in speech" if bundled else f"trained on {metadata['trained_on']['title']}"
    )
    augmentation = ROBUST if "Levelled" in str(metadata["features"]) else ""
    networks = {"ridge": "Ridge regression", "sernet": "A dilated convolutional network"}
    predicts = f"{networks.get(metadata['kind'], 'A fine-tuned speech encoder')} predicts"
    return f"""# {metadata["name"]}: {subtitle}

<!-- Written by `{metadata.get("made_by", BY_TOOLS)}` from the metadata of the model: change that, not this. -->

{describe_inputs(metadata)}
{predicts}
{_listed(metadata["classes"])}.
{augmentation.rstrip()}
"""


def _usage(metadata: dict) -> str:
    usage = "`sernb predict FILE` and `sernb app` use it."
    if not is_bundled(metadata):
        usage = "`sernb predict FILE --model FOLDER` and `sernb app --model FOLDER` use it."
    return f"""## This folder

`weights.npz` holds arrays, `model.json` all else; no pickle, no code. {usage}
"""


def _uses(metadata: dict) -> str:
    commercial = ""
    if is_commercial_use_excluded(metadata):
        commercial = " Do not use it\ncommercially: the licence of the training recordings does not allow it."
    return f"""## What its predictions mean

{MEANING}

## What it must not be used for

{NOT_FOR}{commercial}

Intended for demonstration, teaching, comparison with other systems, and studies on recordings like those that it was
trained on.
"""


def _licence(metadata: dict) -> str:
    training = metadata["trained_on"]
    heading = f"""## Training data and licence

{training["title"]}: all {training["clips"]} clips of {training["speakers"]} speakers (fingerprint
`{training["recordings"]}`). Licence of the recordings: {training["licence"]}. """
    no_recordings = "It contains no recording, and none can be reconstructed from it.\n"
    if is_bundled(metadata):
        return f"""{heading}The model is derived from them and is for
non-commercial use under the same terms. {no_recordings}
Limits that follow: emotions acted on demand; North American English; two sentences; {training["speakers"]} actors; one
studio. There is no spontaneous speech, no child, no elderly speaker, no other language.
"""
    terms = "The model is derived from them: their terms apply\nto it, too."
    if "ND" in training["licence"]:
        terms = "Their terms forbid sharing derived works,\nand the model is derived from them: keep it to yourself."
    elif training["licence"] == OWN:
        terms = "The owner of the recordings decides on the\nmodel; ask all speakers in them before you share it."
    synthetic = ""
    if training.get("synthetic"):
        synthetic = (
            "\nThe clips include synthetic speech: scores show that the software works, nothing about emotion.\n"
        )
    return f"""{heading}{terms} {no_recordings}{synthetic}
Limits that follow: it was trained on {training["speakers"]} {_plural("voice", training["speakers"])}, their language,
sentences, microphone and room, and on nothing else.
"""


def _held_out(metadata: dict) -> str:
    figures = metadata["figures"]
    if "held-out clips" in figures:
        scores = figures["held-out clips"]
        return f"""## Clips of the same speaker that were not trained on

Per cent, in brackets the 95 % interval from resampling {scores["clips"]} clips. There is **one speaker**: these scores
say nothing about other people, for whom they are usually much lower.

{_overall(scores)}
{_lists(scores)}"""
    scores, adapted_scores = figures["held-out speakers"], figures.get("adapted, all own clips")
    resampling = f"resampling {scores['speakers']} speakers"
    bundled = is_bundled(metadata)
    if not bundled and "(clips)" in scores["UAR"]:
        resampling = "resampling clips, as speakers are too few"
    model = "bundled model" if bundled else "model"
    adapted_note = (
        ""
        if adapted_scores is None
        else """\
*Adapted*: each speaker normalised with their own clips, labels unseen, all of them available (transductive).
"""
    )
    selection = """\
Features, classifier and grid were selected on training speakers of the same corpus, who are test speakers of other
folds: a slight optimistic bias cannot be ruled out.
"""
    if not bundled:
        selection = """\
Features, classifier and grid of the system were selected on speakers of RAVDESS; if these are trained on, a slight
optimistic bias cannot be ruled out.
"""
    enrolment = ""
    if "adapted" in figures:
        table = _table(
            ("available clips of the voice", "UAR"),
            [("none", scores["UAR"]), *((count, value) for count, value in figures["adapted"].items())],
        )
        enrolment = f"""
With fewer clips of a voice available (`--speaker-clips`), five draws each:

{table}
"""
    return f"""## Speakers of the corpus that were not trained on

Per cent, in brackets the 95 % interval from {resampling}; {scores["clips"]} clips. The scores
are those of cross-validation: models of the same recipe (seed 0), each tested on speakers that were used neither for
its training nor for its settings or calibration. The {model} is trained in the same way on all speakers and
has no test of its own on this corpus.
{adapted_note}
{_overall(scores, adapted_scores)}

{selection}
{_lists(scores, adapted_scores)}{enrolment}"""


def _overall(scores: dict, adapted: dict | None = None) -> str:
    rows = [
        (name, scores[name], adapted and adapted[name], scores[f"{name} floor"]) for name in ("UAR", "WAR", "top-3")
    ]
    rows.append(("calibration error", scores["calibration error"], adapted and adapted["calibration error"], "–"))
    return _table(("metric", "without adaptation", "adapted to each voice", "chance level"), rows, own=adapted)


def _lists(scores: dict, adapted: dict | None = None) -> str:
    """Return scores by gender and by emotion."""
    genders = [(name or "unknown", value) for name, value in scores["UAR by gender"].items()]
    genders = [
        (*row, adapted and adapted["UAR by gender"][name])
        for row, name in zip(genders, scores["UAR by gender"], strict=True)
    ]
    emotions = [
        (name, value, adapted and adapted["recall by emotion"][name])
        for name, value in scores["recall by emotion"].items()
    ]
    by_gender = _table(("speakers", "UAR", "UAR, adapted"), genders, own=adapted)
    return f"{by_gender}\n\n{_table(('emotion', 'recall', 'recall, adapted'), emotions, own=adapted)}\n"


def _strangers(figures: dict) -> str:
    table = _table(("copies", "UAR"), list(figures["strangers"].items()))
    copies = ",\naugmented with other rooms and devices" * ("as recorded" not in figures["strangers"])
    training_clips = " (training on the remaining quarter of the clips)"
    if "foreign" not in figures or "as recorded" in figures["strangers"]:
        training_clips = ", as far as the corpus allows"
    return f"""## Unseen speakers of another gender and sentence

Clips of a gender and of a sentence that were not trained on{training_clips}{copies}; UAR in per cent:

{table}

Temperature, prediction sets and the confidence of firm predictions are fitted on these clips. The same recording 18 dB
quieter, in 16 bits, gets the same prediction in {figures["same prediction, 18 dB quieter"]} % of cases.
"""


def _foreign(foreign: dict, *, bundled: bool) -> str:
    table = _table(
        ("emotion", "recall"), [each for each in foreign["recall by emotion"].items() if not each[1].startswith("nan")]
    )
    selection = """\
Nothing was trained or fitted on it. One choice was made after inspecting it: that unseen speakers are also of
another gender, which makes the model less confident.
"""
    if not bundled:
        selection = "Nothing was trained, selected or fitted on it.\n"
    return f"""## Another corpus

{foreign["corpus"]}, {foreign["clips"]} clips of {foreign["speakers"]} speakers: UAR in per
cent {foreign["UAR"]}, chance level {foreign["UAR floor"]}; mean confidence {foreign["mean confidence"]} %, calibration
error {foreign["calibration error"]}. Expect this performance on your recordings at best.

{selection}
{table}
"""


def _certainty(metadata: dict) -> str:
    figures, foreign, model = metadata["figures"], metadata["figures"].get("foreign"), "model"
    strangers = OTHER_GENDER if "strangers" in figures else UNSEEN
    other_corpora = [(foreign["corpus"], foreign)] if foreign else []
    accuracy_table = _table(
        ("clips", "firm predictions", "of these correct", "of the others correct"),
        [
            (name, accuracy["given"], accuracy["right"], accuracy["right of the others"])
            for name, accuracy in [
                (strangers, figures["sure"]),
                *((name, each["sure"]) for name, each in other_corpora),
            ]
        ],
    )
    coverage_table = _table(
        ("clips", "of the voice available", *(f"stated {_percent(row['stated'])}" for row in figures["coverage"])),
        [
            (speakers, count, *(f"{row['covered']}; {row['emotions']:.1f}" for row in rows))
            for speakers, count, rows in [
                (strangers, "none", figures["coverage"]),
                *((strangers, *each) for each in figures.get("coverage, adapted", {}).items()),
                *((name, "none", each["coverage"]) for name, each in other_corpora),
            ]
        ],
    )
    draws = ", for an adapted voice in five draws of its clips" * ("coverage, adapted" in figures)
    if is_bundled(metadata):
        model = "bundled\nmodel"
    return f"""## Confidence and prediction sets

The answer is "not sure" below a confidence of {_percent(round(metadata["unsure_below"], 3))}, above which
{_percent(FIRM)} of predictions for {strangers} are correct, and for every recording that is out of domain.

{accuracy_table}

A prediction set should contain the acted emotion in a stated share of an unseen speaker's clips (cross-conformal
prediction, Vovk, 2015, speakers as units: the thresholds are fitted on all folds). The stated coverage is not
guaranteed. Sets of this kind are proven to miss at most about twice as often as stated, so 80 % coverage where 90 % is
stated (Barber et al., 2021), and only for predictions of the models of the folds; the {model} \
predicts in their place. Therefore coverage was measured by cross-validation, with thresholds fitted on the
speakers of the other folds{draws}.
Measured coverage in per cent, and mean number of emotions in a set:

{coverage_table}
{_few(metadata)}"""


def _few(metadata: dict) -> str:
    """Return a sentence on prediction sets that contain all emotions because there are too few speakers."""
    speakers = metadata["trained_on"]["speakers"]
    unreachable = [each for each in COVERAGES if speakers / (speakers + 1) < each - 1e-12]
    if not unreachable:
        return ""
    stated = " and ".join(map(_percent, unreachable))
    needed = " and ".join(str(round(each / (1 - each))) for each in unreachable)
    return f"\nWith {speakers} speakers, sets of {stated} contain all emotions: they need {needed} speakers.\n"


def _domain(metadata: dict) -> str:
    figures, foreign = metadata["figures"], metadata["figures"].get("foreign")
    measured = [*figures["readiness"].items(), *([(foreign["corpus"], foreign["readiness"])] if foreign else [])]
    table = _table(
        ("recordings", "n", *VERDICTS, "accuracy, all"), [_verdicts(name, accuracy) for name, accuracy in measured]
    )
    copies = " and their\ncopies" * ("strangers" in figures)
    return f"""## Domain check

`sernb predict` checks clipping, bandwidth, noise, voice, pitch and the distance from the training clips{copies}. \
{VERDICTS[1].capitalize()}: beyond the 1st or 99th percentile of clips of unseen speakers (distances: 95th).
{VERDICTS[2].capitalize()}: a distance beyond the 99.5th percentile, or too little voice. Per cent; in brackets the
accuracy of these predictions.

{table}
"""


def _making(metadata: dict) -> str:
    record = metadata["provenance"]
    return f"""## How it is made

    {metadata.get("made_with", BY_TOOLS)}

Made with sernb {record["sernb"]}, commit {record["commit"]}, {record["finished"]}.
"""


def _table(head: tuple[str, ...], rows: Sequence[tuple], *, own: object = True) -> str:
    """Return a Markdown table; without ``own``, the third column, of adapted voices, is omitted."""
    lines = [head, ("---",) * len(head), *rows]
    lines = lines if own else [(*cells[:2], *cells[3:]) for cells in lines]
    return "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in lines)


def _verdicts(name: str, accuracy: dict) -> tuple:
    def cell(verdict: str) -> str:
        if verdict not in accuracy["verdicts"]:
            return "0"
        row = accuracy["verdicts"][verdict]
        return f"{100 * row['share']:.0f} ({100 * row['right']:.0f})"

    shares = (cell(verdict) for verdict in VERDICTS)
    return (name, accuracy["recordings"], *shares, f"{100 * accuracy['right']:.0f}")


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
