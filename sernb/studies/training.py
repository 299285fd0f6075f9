"""The training page: what is planned, what the leak audit finds, how the trainings went."""

from collections.abc import Iterator, Sequence

import pandas as pd

from sernb import figures
from sernb.protocols.protocol import SPEAKER
from sernb.runs import feasibility
from sernb.runs.experiment import Experiment, Plan
from sernb.runs.run_folder import Run
from sernb.runs.split_audit import audit_experiment


def plan_table(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Return one row a training: how many clips train, validate and are tested, and for how many epochs."""
    rows = [
        {
            "System": each.system.name,
            "Protocol": each.protocol.name,
            "Fold": f"{each.fold.number + 1} of {each.folds}",
            "Training clips": len(each.fold.train),
            "Validation clips": "the test clips" if each.tests_choose else len(each.fold.validation) or "none",
            "Test clips": len(each.fold.test),
            "Epochs": each.units or "none",
        }
        for each in experiments
    ]
    return pd.DataFrame(rows)


def remarks(experiments: Plan) -> list[str]:
    """Return what the recordings do not allow, and what to know of what they do, in sentences."""
    left_out = [f"Left out: {each}." for each in experiments.left_out]
    return [*left_out, *feasibility.remarks(experiments)] or ["Nothing was left out."]


def audit_table(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Return what test clips share with training, over all folds of a system under a protocol, one row a kind."""
    rows = [
        {
            "Protocol": each.protocol.name,
            "System": each.system.name,
            "Leak": leak.kind,
            "By design": "yes" if leak.allowed else "NO",
            "Test clips": leak.count,
        }
        for each in experiments
        for leak in audit_experiment(each)
    ]
    columns = ["Protocol", "System", "Leak", "By design", "Test clips"]
    found = pd.DataFrame(rows, columns=columns)
    return found.groupby(columns[:-1], sort=False)["Test clips"].sum().reset_index()


def leaks_by_protocol(experiments: Sequence[Experiment], audit: pd.DataFrame) -> pd.DataFrame:
    """Return for each protocol how many of the test clips share what, over all systems and folds."""
    tested = pd.Series(dtype=int)
    for each in experiments:
        tested[each.protocol.name] = tested.get(each.protocol.name, 0) + len(each.fold.test)
    counts = audit.pivot_table("Test clips", "Protocol", "Leak", aggfunc="sum", fill_value=0).reindex(tested.index)
    table = counts.fillna(0).astype(int).map("{:,}".format)
    table.insert(0, "Test clips", tested.map("{:,}".format))
    return table.rename_axis("Protocol").rename_axis(columns=None)


def conclusions(experiments: Sequence[Experiment], audit: pd.DataFrame) -> list[str]:
    """Return what was trained and what the audit found, in sentences."""
    systems, protocols = ({name(each) for each in experiments} for name in (_system, _protocol))
    unwanted = int(audit["Test clips"][audit["By design"] == "NO"].sum())
    found = "no test clip shares" if not unwanted else f"{unwanted} test clips share"
    folds = {(each.system.name, each.protocol.name, each.seed): each.folds for each in experiments}
    whole = sum(folds.values())
    done = f"{len(experiments)} trainings" if len(experiments) == whole else f"{len(experiments)} of {whole} trainings"
    sentences = [
        f"{done} of {len(systems)} systems under {len(protocols)} protocols: {found} anything with training that the "
        "protocol does not share by design."
    ]
    for name in dict.fromkeys(map(_protocol, experiments)):
        tested = sum(len(each.fold.test) for each in experiments if _protocol(each) == name)
        shared = audit["Test clips"][(audit.Protocol == name) & (audit.Leak == SPEAKER)].sum()
        sentences.append(f"{name}: {shared or 'none'} of {tested} test clips are of a speaker in training.")
    return sentences


def learned(runs: Sequence[Run]) -> list[str]:
    """Return how the trainings of networks ended, in sentences."""
    networks = [run for run in runs if not run.history.empty]
    selected = [run for run in networks if "epoch" in run.metrics["chosen"]]
    last = sum(run.metrics["chosen"]["epoch"] == run.history.epoch.max() for run in selected)
    watched = [run.history.iloc[-1] for run in networks if {"accuracy", "validation_accuracy"} <= set(run.history)]
    fitted = sum(row.accuracy > row.validation_accuracy for row in watched)
    if not networks:
        return ["No network was trained."]
    return [
        f"In {last} of {len(selected)} trainings that select an epoch it is the last one: more epochs may help them.",
        f"In {fitted} of {len(watched)} trainings accuracy ends higher on training clips than on validation clips.",
    ]


def _system(experiment: Experiment) -> str:
    return experiment.system.name


def _protocol(experiment: Experiment) -> str:
    return experiment.protocol.name


def plot_curves(runs: Sequence[Run]) -> Iterator[figures.Drawing]:
    """Plot loss and accuracy by epoch of the networks, a figure each protocol."""
    for protocol in dict.fromkeys(run.config["protocol"] for run in runs):
        histories = {
            f"{run.config['system']}, fold {run.config['fold'] + 1}": run.history
            for run in runs
            if run.config["protocol"] == protocol and not run.history.empty
        }
        if histories:
            yield figures.training_curves(histories, protocol)


def selection_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Return which epoch or settings each training selected; empty where none did."""
    rows = [
        {
            "System": run.config["system"],
            "Protocol": run.config["protocol"],
            "Fold": run.config["fold"] + 1,
            "Selected": ", ".join(f"{name}: {value}" for name, value in run.metrics["chosen"].items()),
        }
        for run in runs
        if run.metrics["chosen"]
    ]
    return pd.DataFrame(rows)
