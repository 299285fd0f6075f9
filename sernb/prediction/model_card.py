"""The card of a model, written from what was measured: no figure on it is typed."""

from sernb.prediction.calibration import FIRM
from sernb.prediction.domain_check import VERDICTS

MEANING = """\
A prediction says which acted emotion of the training corpus a recording sounds most like to this model. It does not say
what anybody feels. Feeling and sounding are different things; people differ, languages and cultures differ, microphones
and rooms differ, and the same sentence can be said in the same way for many reasons."""

NOT_FOR = """\
Do not use it to judge, rank, select, monitor or diagnose people: not in hiring, teaching, policing, border control,
insurance, call centres or care. Recognising emotions at work and in education is prohibited in the European Union
(Regulation 2024/1689, article 5). Do not use it on recordings of people who have not agreed. Do not use it
commercially: the licence of the training recordings does not allow it."""


def write_card(about: dict) -> str:
    """Return the card of a model as Markdown.

    Args:
        about: the content of its ``model.json``
    """
    trained, figures = about["trained_on"], about["figures"]
    held, own, foreign = figures["held-out speakers"], figures["adapted, all own clips"], figures["foreign"]
    emotions = _table(
        ("emotion", "recall", "recall, adapted"),
        [(name, value, own["recall by emotion"][name]) for name, value in held["recall by emotion"].items()],
    )
    genders = _table(
        ("speakers", "UAR", "UAR, adapted"),
        [(name, value, own["UAR by gender"][name]) for name, value in held["UAR by gender"].items()],
    )
    overall = _table(
        ("metric", "without adaptation", "adapted to each voice", "chance level"),
        [
            *((name, held[name], own[name], held[f"{name} floor"]) for name in ("UAR", "WAR", "top-3")),
            ("calibration error", held["calibration error"], own["calibration error"], "–"),
        ],
    )
    enrolled = _table(
        ("available clips of the voice", "UAR"),
        [("none", held["UAR"]), *((count, value) for count, value in figures["adapted"].items())],
    )
    strangers = _table(("copies", "UAR"), list(figures["strangers"].items()))
    covered = _table(
        ("clips", "of the voice available", "stated coverage", "sets that hold the emotion", "emotions in a set, mean"),
        [
            (kind, count, _percent(row["stated"]), row["covered"], f"{row['emotions']:.1f}")
            for kind, count, rows in [
                ("strangers", "none", figures["coverage"]),
                *(("strangers", *each) for each in figures["coverage, adapted"].items()),
                (foreign["corpus"], "none", foreign["coverage"]),
            ]
            for row in rows
        ],
    )
    firm = _table(
        ("clips", "firm predictions", "of these right", "of the others right"),
        [
            (name, found["given"], found["right"], found["right of the others"])
            for name, found in (("strangers", figures["sure"]), (foreign["corpus"], foreign["sure"]))
        ],
    )
    checks = _table(
        ("recordings", "n", *VERDICTS, "right, of all"),
        [
            _verdicts(name, found)
            for name, found in [*figures["readiness"].items(), (foreign["corpus"], foreign["readiness"])]
        ],
    )
    elsewhere = _table(
        ("emotion", "recall"), [each for each in foreign["recall by emotion"].items() if each[1] != "nan"]
    )
    made = about["provenance"]
    return f"""# {about["name"]}: a small model of acted emotion in speech

<!-- Written by `python -m tools.bundled_models` from model.json: change that, not this. -->

{_inputs(about)}
Ridge regression predicts
{_listed(about["classes"])}.
Every recording is brought to one level first, and training clips were also given as other rooms, telephones,
microphones and speeds give them. `weights.npz` holds arrays,
`model.json` all else; no pickle, no code. `sernb predict FILE` and `sernb app` use it.

## What its predictions mean

{MEANING}

## What it must not be used for

{NOT_FOR}

Meant for: seeing and hearing what such systems do, teaching, comparing with other systems, and studies on recordings of
the kind that it was trained on.

## Training data and licence

{trained["title"]}: all {trained["clips"]} clips of {trained["speakers"]} speakers (fingerprint
`{trained["recordings"]}`). Licence of the recordings: {trained["licence"]}. The model is derived from them and is for
non-commercial use under the same terms. No recording is in it or can be made from it.

Limits that follow: acted emotions on demand; North American English; two sentences; {trained["speakers"]} actors; one
studio. There is no spontaneous speech, no child, no old voice, no other language.

## Speakers of the corpus that were not trained on

Per cent, in brackets the 95 % interval from resampling {held["speakers"]} speakers; {held["clips"]} clips. The scores
are those of its cross-validated siblings: models of the same recipe (seed 0), each tested on speakers that none of its
training, its settings or its calibration had seen. The bundled model is trained in the same way on all speakers and
has no test of its own on this corpus.
*Adapted*: each speaker normalised with their own clips, labels unseen, all of them available (transductive).

{overall}

Features, classifier and grid were chosen on training speakers of the same corpus, who are test speakers of other folds:
a little optimism cannot be ruled out.

{genders}

{emotions}

With fewer clips of a voice available (`--speaker-clips`), five draws each:

{enrolled}

## Strangers

Clips of a gender and of a sentence that were not trained on (what is left trains: a quarter of the clips), as other
rooms and devices give them; UAR in per cent:

{strangers}

Temperature, prediction sets and the confidence of firm predictions come from these clips. The same recording 18 dB
quieter, in 16 bits, gets the same prediction in {figures["same prediction, 18 dB quieter"]} % of cases.

## Another corpus

{foreign["corpus"]}, {foreign["clips"]} clips of {foreign["speakers"]} speakers: UAR in per
cent {foreign["UAR"]}, chance level {foreign["UAR floor"]}; mean confidence {foreign["mean confidence"]} %, calibration
error {foreign["calibration error"]}. This is what to expect on your recordings, at best.

Nothing was trained or fitted on it. One choice was made after a look at it: that what stands for strangers is of
another gender, too, which makes the model less sure.

{elsewhere}

## How sure it is

A prediction below {_percent(round(about["unsure_below"], 3))} is "not sure": above it {_percent(FIRM)} of predictions
for strangers are right. So is whatever the domain check calls out of domain.

{firm}

A prediction set is meant to hold the acted emotion in a stated share of clips of a stranger (cross-conformal
prediction, Vovk, 2015, speakers as units: the thresholds come from all siblings). The stated coverage is not
guaranteed. What is proved for sets of this kind is that they miss at most about twice as often as stated, so 80 %
coverage where 90 % is stated (Barber et al., 2021), and only for predictions of the siblings themselves; the bundled
model predicts in their place. So it was measured, on speakers that fixed no threshold (those of the other folds did),
for an adapted voice in five draws of its clips:

{covered}

## Is a recording like those it knows?

`sernb predict` checks overdrive, bandwidth, noise, voice, pitch and the distance from the training clips and their
copies. {VERDICTS[1].capitalize()}: beyond the outer hundredth of clips of speakers not trained on (distances:
twentieth). {VERDICTS[2].capitalize()}: farther away than all but one in two hundred of them, or hardly any voice. Per
cent; in brackets how many of these predictions are right.

{checks}

## How it is made

    python -m tools.bundled_models

Made with sernb {made["sernb"]}, commit {made["commit"]}, {made["finished"]}.
"""


def _inputs(about: dict) -> str:
    functionals = "statistics of pitch, loudness, voice quality, spectrum and rhythm, computed with NumPy and SciPy."
    encoders = about["trained_on"].get("encoders") or []
    if not encoders:
        return f"It reads {functionals}"
    return (
        f"It reads the hidden states of {', '.join(encoders)}, whose weights are fetched and are not part of it\n"
        f"(`sernb fetch {encoders[0]}`), and {functionals}"
    )


def _table(head: tuple[str, ...], rows: list[tuple]) -> str:
    lines = [head, ("---",) * len(head), *rows]
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


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
