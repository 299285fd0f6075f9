"""The card of a model, written from what was measured: no figure on it is typed."""

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
        ("metric", "as heard", "adapted to each voice", "floor"),
        [
            *((name, held[name], own[name], held[f"{name} floor"]) for name in ("UAR", "WAR", "top-3")),
            ("calibration error", held["calibration error"], own["calibration error"], "–"),
        ],
    )
    enrolled = _table(
        ("clips of the voice at hand", "UAR"),
        [("none", held["UAR"]), *((count, value) for count, value in figures["adapted"].items())],
    )
    covered = _table(
        ("clips of the voice", "stated coverage", "sets that hold the emotion", "emotions in a set, mean"),
        [
            (count, _percent(row["stated"]), row["covered"], f"{row['emotions']:.1f}")
            for count, rows in [("none", figures["coverage"]), *figures.get("coverage, adapted", {}).items()]
            for row in rows
        ],
    )
    checks = _table(
        ("recordings", "n", "in domain", "shaky", "do not trust", "right, of all"),
        [
            _verdicts(name, found)
            for name, found in [*figures["readiness"].items(), (foreign["corpus"], foreign["readiness"])]
        ],
    )
    sure, made = figures["sure"], about["provenance"]
    # Models made before intervals said so themselves
    over_clips = " (clips)" if foreign["drawn"] == "clips" and not foreign["UAR"].endswith("(clips)") else ""
    return f"""# {about["name"]}: a small model of acted emotion in speech

<!-- Written by `python -m sernb.prediction.training` from model.json: change that, not this. -->

Statistics of pitch, loudness, voice quality, spectrum and rhythm ({about["features"]["type"]}, computed with NumPy and
SciPy) and ridge regression. It answers
{_listed(about["classes"])}.
No network, no pickle: `weights.npz` holds arrays, `model.json` all else. `sernb predict FILE` and `sernb app` use it.

## What its answers mean

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

## How well it does on speakers it never heard

Per cent, in brackets the 95 % interval from resampling {held["speakers"]} speakers; {held["clips"]} clips. The scores
are those of its cross-validated siblings: five models of the same recipe (seed 0), each tested on speakers that none of
its training, its settings or its calibration had seen. The bundled model is trained in the same way on all speakers and
has no test of its own on this corpus; the mean over five seeds stands in `reports/reference/README.md`.
*Adapted*: each speaker normalised with their own clips, labels unseen, all of them available (transductive).

{overall}

Features, classifier and grid were chosen on training speakers of the same corpus, who are test speakers of other folds:
a little optimism cannot be ruled out.

{genders}

{emotions}

With fewer clips of a voice at hand (`--speaker-clips`), five draws each:

{enrolled}

## How sure it is

An answer below {_percent(about["unsure_below"])} is "not sure", since it is likelier wrong than right. Answers given:
{sure["given"]} %, of these right {sure["right"]} %. Of the others {sure["right of the others"]} % would have been
right.

A prediction set is meant to hold the acted emotion in a stated share of clips of a new speaker of this kind
(cross-conformal prediction, Vovk, 2015, speakers as units: the thresholds come from all siblings). The stated
coverage is not guaranteed. What is proved for sets of this kind is that they miss at most about twice as often as
stated, so 80 % coverage where 90 % is stated (Barber et al., 2021), and only for answers of the siblings themselves;
the bundled model answers in their place. So it was measured, on speakers that fixed no threshold (those of the other
folds did){", for an adapted voice in five draws of its clips" * ("coverage, adapted" in figures)}:

{covered}

On recordings of another kind none of this holds: sets, confidence and answers can all be wrong together.

## Is a recording like those it knows?

`sernb predict` checks level, overdrive, bandwidth, noise, voice, pitch and the distance from the training corpus before
it answers. Shaky: beyond the outer hundredth of clips of speakers not trained on (distances: twentieth). Do not trust:
farther away than all but one in two hundred of them, or hardly any voice. Per cent; in brackets how many of these
answers are right.

{checks}

## Another corpus

{foreign["corpus"]}, {foreign["clips"]} clips of {foreign["speakers"]} speakers: UAR in per cent
{foreign["UAR"]}{over_clips}, where a constant answer has {foreign["UAR floor"]}.
Its mean confidence there is {foreign["mean confidence"]} %: it does not know that it does not know.
This is what to expect on recordings of one's own.

## How it is made

    python -m sernb.prediction.training

Made with sernb {made["sernb"]}, commit {made["commit"]}, {made["finished"]}.
"""


def _table(head: tuple[str, ...], rows: list[tuple]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in lines)


def _verdicts(name: str, found: dict) -> tuple:
    def cell(verdict: str) -> str:
        if verdict not in found["verdicts"]:
            return "0"
        row = found["verdicts"][verdict]
        return f"{100 * row['share']:.0f} ({100 * row['right']:.0f})"

    shares = (cell(verdict) for verdict in ("in domain", "shaky", "do not trust"))
    return (name, found["recordings"], *shares, f"{100 * found['right']:.0f}")


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
