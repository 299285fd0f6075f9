"""The training page: plan, leak audit and training histories."""

from collections.abc import Iterator, Sequence

import pandas as pd

from sernb import figures
from sernb.protocols.protocol import SPEAKER
from sernb.runs import feasibility
from sernb.runs.experiment import Experiment, Plan
from sernb.runs.run_folder import Run
from sernb.runs.split_audit import audit_experiment


def plan_table(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Return training, validation and test clips and epochs of each training, one row each."""
    rows = [
        {
            "System": each.system.name,
            "Protocol": each.protocol.name,
            "Fold": f"{each.fold.number + 1} of {each.folds}",
            "Training clips": len(each.fold.train),
            "Validation clips": "the test clips" if each.selects_on_test else len(each.fold.validation) or "none",
            "Test clips": len(each.fold.test),
            "Epochs": each.units or "none",
        }
        for each in experiments
    ]
    return pd.DataFrame(rows)


def remarks(experiments: Plan) -> list[str]:
    """Return what was left out and other remarks on the recordings, in sentences."""
    left_out = [f"Left out: {each}." for each in experiments.left_out]
    return [*left_out, *feasibility.remarks(experiments)] or ["Nothing was left out."]


def audit_table(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Count the test clips with each kind of leak, over all folds of a system under a protocol."""
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
    leaks = pd.DataFrame(rows, columns=columns)
    return leaks.groupby(columns[:-1], sort=False)["Test clips"].sum().reset_index()


def leaks_by_protocol(experiments: Sequence[Experiment], audit: pd.DataFrame) -> pd.DataFrame:
    """Count the test clips with each kind of leak by protocol, over all systems and folds."""
    tested = pd.Series(dtype=int)
    for each in experiments:
        tested[each.protocol.name] = tested.get(each.protocol.name, 0) + len(each.fold.test)
    counts = audit.pivot_table("Test clips", "Protocol", "Leak", aggfunc="sum", fill_value=0).reindex(tested.index)
    table = counts.fillna(0).astype(int).map("{:,}".format)
    table.insert(0, "Test clips", tested.map("{:,}".format))
    return table.rename_axis("Protocol").rename_axis(columns=None)


def headline(experiments: Sequence[Experiment], audit: pd.DataFrame) -> list[str]:
    """State the number of trainings and the outcome of the leak audit by protocol, in sentences."""
    systems = {each.system.name for each in experiments}
    tested: dict[str, int] = {}
    for each in experiments:
        tested[each.protocol.name] = tested.get(each.protocol.name, 0) + len(each.fold.test)
    leaks = int(audit["Test clips"][audit["By design"] == "NO"].sum())
    folds = {(each.system.name, each.protocol.name, each.seed): each.folds for each in experiments}
    planned = sum(folds.values())
    count = f"{len(experiments)}" if len(experiments) == planned else f"{len(experiments)} of {planned}"
    leaking = f"{leaks} test clips have" if leaks else "no test clip has"
    sentences = [
        f"{count} trainings of {len(systems)} systems under {len(tested)} protocols: {leaking} a leak other than those "
        "of the protocol's design."
    ]
    for name, clips in tested.items():
        shared = audit["Test clips"][(audit.Protocol == name) & (audit.Leak == SPEAKER)].sum()
        sentences.append(f"{name}: {shared or 'none'} of {clips} test clips are of a training speaker.")
    return sentences


def conclusions(runs: Sequence[Run]) -> list[str]:
    """State how often the last epoch was selected, and how often networks over-fit, in sentences."""
    networks = [run for run in runs if not run.history.empty]
    selecting = [run for run in networks if "epoch" in run.metrics["chosen"]]
    last = sum(run.metrics["chosen"]["epoch"] == run.history.epoch.max() for run in selecting)
    final = [run.history.iloc[-1] for run in networks if {"accuracy", "validation_accuracy"} <= set(run.history)]
    higher = sum(row.accuracy > row.validation_accuracy for row in final)
    if not networks:
        return ["No network was trained."]
    return [
        f"{last} of {len(selecting)} trainings that select an epoch select the last one; more epochs may help them.",
        f"In {higher} of {len(final)} trainings the final accuracy is higher on training than on validation clips.",
    ]


def plot_curves(runs: Sequence[Run]) -> Iterator[figures.Drawing]:
    """Plot loss and accuracy of the networks by epoch, one figure per protocol."""
    for protocol in dict.fromkeys(run.config["protocol"] for run in runs):
        histories = {
            f"{run.config['system']}, fold {run.config['fold'] + 1}": run.history
            for run in runs
            if run.config["protocol"] == protocol and not run.history.empty
        }
        if histories:
            yield figures.training_curves(histories, protocol)


def selection_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Return the epoch or the settings that each training selected; empty if none did."""
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
