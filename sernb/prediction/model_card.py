"""The card of a model, written from what was measured: no figure on it is typed.

What a model lacks (an adaptation, strangers, another corpus, a domain check), its card does not speak of, or says so.
"""

from collections.abc import Sequence

from sernb.prediction.calibration import COVERAGES, FIRM
from sernb.prediction.domain_check import VERDICTS

MEANING = """\
A prediction says which acted emotion of the training corpus a recording sounds most like to this model. It does not say
what anybody feels. Feeling and sounding are different things; people differ, languages and cultures differ, microphones
and rooms differ, and the same sentence can be said in the same way for many reasons."""

NOT_FOR = """\
Do not use it to judge, rank, select, monitor or diagnose people: not in hiring, teaching, policing, border control,
insurance, call centres or care. Recognising emotions at work and in education is prohibited in the European Union
(Regulation 2024/1689, article 5). Do not use it on recordings of people who have not agreed."""

ROBUST = """\
Every recording is brought to one level first, and training clips were also given as other rooms, telephones,
microphones and speeds give them. """
OWN = "as their owners decide"  # the licence of a folder of one's own recordings
BY_TOOLS = "python -m tools.bundled_models"


def write_card(about: dict) -> str:
    """Return the card of a model as Markdown.

    Args:
        about: the content of its ``model.json``
    """
    figures = about["figures"]
    sections = [
        _heading(about),
        _uses(about),
        _licence(about),
        _held_out(about),
        _strangers(figures) if "strangers" in figures else "",
        _foreign(figures["foreign"], bundled=is_bundled(about)) if "foreign" in figures else "",
        _certainty(about) if "sure" in figures else NOTHING_KNOWN,
        _domain(about) if "readiness" in figures else "",
        _making(about),
    ]
    return "\n".join(filter(None, sections))


NOTHING_KNOWN = """\
## How sure it is

Not known: there is one speaker, so that nothing could be tried on another. Probabilities are not calibrated, there are
no prediction sets, no domain check, and no prediction is ever "not sure". Recordings of another speaker or two change
that.
"""


def is_bundled(about: dict) -> bool:
    """Return whether a model came with the workbook: all others say what made them."""
    return "made_by" not in about


def is_commercial_use_excluded(about: dict) -> bool:
    """Return whether a licence of the training recordings excludes commercial use."""
    return "NC" in about["trained_on"]["licence"]


def _heading(about: dict) -> str:
    bundled = is_bundled(about)
    named = "a small model of acted emotion in speech" if bundled else f"trained on {about['trained_on']['title']}"
    levelled = ROBUST if "Levelled" in str(about["features"]) else ""
    predicts = "A dilated convolutional network predicts" if about["kind"] == "sernet" else "Ridge regression predicts"
    use = "`sernb predict FILE` and `sernb app` use it."
    if not bundled:
        use = "`sernb predict FILE --model FOLDER` and `sernb app\n--model FOLDER` use it."
    return f"""# {about["name"]}: {named}

<!-- Written by `{about.get("made_by", BY_TOOLS)}` from model.json: change that, not this. -->

{_inputs(about)}
{predicts}
{_listed(about["classes"])}.
{levelled}`weights.npz` holds arrays,
`model.json` all else; no pickle, no code. {use}
"""


def _uses(about: dict) -> str:
    money = ""
    if is_commercial_use_excluded(about):
        money = " Do not use it\ncommercially: the licence of the training recordings does not allow it."
    return f"""## What its predictions mean

{MEANING}

## What it must not be used for

{NOT_FOR}{money}

Meant for: seeing and hearing what such systems do, teaching, comparing with other systems, and studies on recordings of
the kind that it was trained on.
"""


def _licence(about: dict) -> str:
    trained = about["trained_on"]
    begin = f"""## Training data and licence

{trained["title"]}: all {trained["clips"]} clips of {trained["speakers"]} speakers (fingerprint
`{trained["recordings"]}`). Licence of the recordings: {trained["licence"]}. """
    nothing = "No recording is in it or can be made from it.\n"
    if is_bundled(about):
        return f"""{begin}The model is derived from them and is for
non-commercial use under the same terms. {nothing}
Limits that follow: acted emotions on demand; North American English; two sentences; {trained["speakers"]} actors; one
studio. There is no spontaneous speech, no child, no old voice, no other language.
"""
    terms = "The model is derived from them: their terms hold\nfor it, too."
    if "ND" in trained["licence"]:
        terms = "Their terms do not allow derived works\nto be handed on, and the model is derived from them: keep it."
    elif trained["licence"] == OWN:
        terms = "Who owns the recordings decides on the\nmodel; ask everybody who speaks in them before you hand it on."
    synthetic = ""
    if trained.get("synthetic"):
        synthetic = "\nSynthetic speech is among it: scores show that the machinery works, nothing about emotion.\n"
    return f"""{begin}{terms} {nothing}{synthetic}
Limits that follow: it knows {trained["speakers"]} {_plural("voice", trained["speakers"])}, their language, what they
said, their microphone and room, and nothing else.
"""


def _held_out(about: dict) -> str:
    figures = about["figures"]
    if "held-out clips" in figures:
        held = figures["held-out clips"]
        return f"""## Clips of the same speaker that were not trained on

Per cent, in brackets the 95 % interval from resampling {held["clips"]} clips. There is **one speaker**: these scores
say nothing about other people, for whom they are much lower as a rule.

{_overall(held)}
{_lists(held)}"""
    held, own = figures["held-out speakers"], figures.get("adapted, all own clips")
    drawn = f"resampling {held['speakers']} speakers"
    bundled = is_bundled(about)
    if not bundled and "(clips)" in held["UAR"]:
        drawn = "resampling clips, as speakers are too few"
    model = "bundled model" if bundled else "model"
    adapted = (
        ""
        if own is None
        else """\
*Adapted*: each speaker normalised with their own clips, labels unseen, all of them available (transductive).
"""
    )
    chosen = """\
Features, classifier and grid were chosen on training speakers of the same corpus, who are test speakers of other folds:
a little optimism cannot be ruled out.
"""
    if not bundled:
        chosen = """\
Features, classifier and grid of the system were chosen on speakers of RAVDESS; where these are trained on, a little
optimism cannot be ruled out.
"""
    enrolled = ""
    if "adapted" in figures:
        table = _table(
            ("available clips of the voice", "UAR"),
            [("none", held["UAR"]), *((count, value) for count, value in figures["adapted"].items())],
        )
        enrolled = f"""
With fewer clips of a voice available (`--speaker-clips`), five draws each:

{table}
"""
    return f"""## Speakers of the corpus that were not trained on

Per cent, in brackets the 95 % interval from {drawn}; {held["clips"]} clips. The scores
are those of its cross-validated siblings: models of the same recipe (seed 0), each tested on speakers that none of its
training, its settings or its calibration had seen. The {model} is trained in the same way on all speakers and
has no test of its own on this corpus.
{adapted}
{_overall(held, own)}

{chosen}
{_lists(held, own)}{enrolled}"""


def _overall(held: dict, own: dict | None = None) -> str:
    scores = [(name, held[name], own and own[name], held[f"{name} floor"]) for name in ("UAR", "WAR", "top-3")]
    scores.append(("calibration error", held["calibration error"], own and own["calibration error"], "–"))
    return _table(("metric", "without adaptation", "adapted to each voice", "chance level"), scores, own=own)


def _lists(held: dict, own: dict | None = None) -> str:
    """Return scores by gender and by emotion."""
    genders = [(name or "unknown", value) for name, value in held["UAR by gender"].items()]
    genders = [
        (*row, own and own["UAR by gender"][name]) for row, name in zip(genders, held["UAR by gender"], strict=True)
    ]
    emotions = [
        (name, value, own and own["recall by emotion"][name]) for name, value in held["recall by emotion"].items()
    ]
    by_gender = _table(("speakers", "UAR", "UAR, adapted"), genders, own=own)
    return f"{by_gender}\n\n{_table(('emotion', 'recall', 'recall, adapted'), emotions, own=own)}\n"


def _strangers(figures: dict) -> str:
    table = _table(("copies", "UAR"), list(figures["strangers"].items()))
    copies = ", as other\nrooms and devices give them" * ("as recorded" not in figures["strangers"])
    quarter = " (what is left trains: a quarter of the clips)"
    if "foreign" not in figures or "as recorded" in figures["strangers"]:
        quarter = ", as far as the corpus allows"
    return f"""## Strangers

Clips of a gender and of a sentence that were not trained on{quarter}{copies}; UAR in per cent:

{table}

Temperature, prediction sets and the confidence of firm predictions come from these clips. The same recording 18 dB
quieter, in 16 bits, gets the same prediction in {figures["same prediction, 18 dB quieter"]} % of cases.
"""


def _foreign(foreign: dict, *, bundled: bool) -> str:
    table = _table(
        ("emotion", "recall"), [each for each in foreign["recall by emotion"].items() if not each[1].startswith("nan")]
    )
    looked = """\
Nothing was trained or fitted on it. One choice was made after a look at it: that what stands for strangers is of
another gender, too, which makes the model less sure.
"""
    if not bundled:
        looked = "Nothing was trained, chosen or fitted on it.\n"
    return f"""## Another corpus

{foreign["corpus"]}, {foreign["clips"]} clips of {foreign["speakers"]} speakers: UAR in per
cent {foreign["UAR"]}, chance level {foreign["UAR floor"]}; mean confidence {foreign["mean confidence"]} %, calibration
error {foreign["calibration error"]}. This is what to expect on your recordings, at best.

{looked}
{table}
"""


def _certainty(about: dict) -> str:
    figures, foreign, model = about["figures"], about["figures"].get("foreign"), "model"
    strangers = "strangers" if "strangers" in figures else "unseen speakers"
    others = [(foreign["corpus"], foreign)] if foreign else []
    firm = _table(
        ("clips", "firm predictions", "of these right", "of the others right"),
        [
            (name, found["given"], found["right"], found["right of the others"])
            for name, found in [(strangers, figures["sure"]), *((name, each["sure"]) for name, each in others)]
        ],
    )
    covered = _table(
        ("clips", "of the voice available", "stated coverage", "sets that hold the emotion", "emotions in a set, mean"),
        [
            (kind, count, _percent(row["stated"]), row["covered"], f"{row['emotions']:.1f}")
            for kind, count, rows in [
                (strangers, "none", figures["coverage"]),
                *((strangers, *each) for each in figures.get("coverage, adapted", {}).items()),
                *((name, "none", each["coverage"]) for name, each in others),
            ]
            for row in rows
        ],
    )
    drawn = ",\nfor an adapted voice in five draws of its clips" * ("coverage, adapted" in figures)
    if is_bundled(about):
        model = "bundled\nmodel "
    return f"""## How sure it is

A prediction below {_percent(round(about["unsure_below"], 3))} is "not sure": above it {_percent(FIRM)} of predictions
for {strangers} are right. So is whatever the domain check calls out of domain.

{firm}

A prediction set is meant to hold the acted emotion in a stated share of clips of a stranger (cross-conformal
prediction, Vovk, 2015, speakers as units: the thresholds come from all siblings). The stated coverage is not
guaranteed. What is proved for sets of this kind is that they miss at most about twice as often as stated, so 80 %
coverage where 90 % is stated (Barber et al., 2021), and only for predictions of the siblings themselves; the {model}\
predicts in their place. So it was measured, on speakers that fixed no threshold (those of the other folds did){drawn}:

{covered}
{_few(about)}"""


def _few(about: dict) -> str:
    """Return what too few speakers mean for the sets."""
    speakers = about["trained_on"]["speakers"]
    lacking = [each for each in COVERAGES if speakers / (speakers + 1) < each - 1e-12]
    if not lacking:
        return ""
    stated = " and ".join(map(_percent, lacking))
    needed = " and ".join(str(round(each / (1 - each))) for each in lacking)
    return f"\nWith {speakers} speakers, sets of {stated} hold all emotions: they need {needed} speakers.\n"


def _domain(about: dict) -> str:
    figures, foreign = about["figures"], about["figures"].get("foreign")
    measured = [*figures["readiness"].items(), *([(foreign["corpus"], foreign["readiness"])] if foreign else [])]
    checks = _table(
        ("recordings", "n", *VERDICTS, "right, of all"), [_verdicts(name, found) for name, found in measured]
    )
    copies = " and their\ncopies" * ("strangers" in figures)
    return f"""## Is a recording like those it knows?

`sernb predict` checks overdrive, bandwidth, noise, voice, pitch and the distance from the training clips{copies}. \
{VERDICTS[1].capitalize()}: beyond the outer hundredth of clips of speakers not trained on (distances:
twentieth). {VERDICTS[2].capitalize()}: farther away than all but one in two hundred of them, or hardly any voice. Per
cent; in brackets how many of these predictions are right.

{checks}
"""


def _making(about: dict) -> str:
    made = about["provenance"]
    return f"""## How it is made

    {about.get("made_with", BY_TOOLS)}

Made with sernb {made["sernb"]}, commit {made["commit"]}, {made["finished"]}.
"""


def _inputs(about: dict) -> str:
    if about["kind"] == "sernet":
        return "It reads the log-mel spectrogram of the speech in a recording, computed with NumPy and SciPy."
    functionals = "statistics of pitch, loudness, voice quality, spectrum and rhythm, computed with NumPy and SciPy."
    encoders = about["trained_on"].get("encoders") or []
    if not encoders:
        return f"It reads {functionals}"
    reads = f"It reads the hidden states of {', '.join(encoders)}, whose weights are fetched and are not part of it\n"
    fetched = "; ".join(f"`sernb fetch {name}`" for name in encoders)
    return (
        f"{reads}({fetched}), and {functionals}" if "Functionals" in str(about["features"]) else f"{reads}({fetched})."
    )


def _table(head: tuple[str, ...], rows: Sequence[tuple], *, own: object = True) -> str:
    """Return a table; without ``own`` the third column, that of adapted voices, is left out."""
    lines = [head, ("---",) * len(head), *rows]
    lines = lines if own else [(*cells[:2], *cells[3:]) for cells in lines]
    return "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in lines)


def _verdicts(name: str, found: dict) -> tuple:
    def cell(verdict: str) -> str:
        if verdict not in found["verdicts"]:
            return "0"
        row = found["verdicts"][verdict]
        return f"{100 * row['share']:.0f} ({100 * row['right']:.0f})"

    shares = (cell(verdict) for verdict in VERDICTS)
    return (name, found["recordings"], *shares, f"{100 * found['right']:.0f}")


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
