"""The collector is kept from what lives as long as the process, and from nothing else."""

import gc
import subprocess
import sys

import pytest

from sernb.runtime.garbage_collection import no_collection

CYCLE = """
import atexit
from sernb.runtime.garbage_collection import collect_less
atexit.register(print, "before")
{call}
atexit.register(print, "after")

class Cycle:
    def __del__(self):
        print("searched")

cycle = Cycle()
cycle.itself = cycle
"""


@pytest.mark.parametrize(("call", "said"), [("", "after before searched"), ("collect_less()", "after before")])
def test_nothing_is_searched_when_a_process_ends_and_what_is_to_be_done_then_is_done(call, said):
    done = subprocess.run([sys.executable, "-c", CYCLE.format(call=call)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == said.split()


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_afterwards_as_it_was(enabled, monkeypatch):
    monkeypatch.setattr(gc, "isenabled", lambda: enabled)
    switched = []
    monkeypatch.setattr(gc, "disable", lambda: switched.append("off"))
    monkeypatch.setattr(gc, "enable", lambda: switched.append("on"))
    with pytest.raises(ImportError), no_collection():
        raise ImportError
    assert switched == ["off", "on"][: 1 + enabled]
