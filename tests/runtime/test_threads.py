"""Work in threads comes back in order, and no thread outlives it."""

import threading
import time

import pytest

from sernb.runtime import threads
from sernb.runtime.threads import AHEAD, map_in_order


def test_results_come_in_the_order_of_the_items(rng):
    waits = rng.uniform(0, 0.002, 200)

    def work(number: int) -> int:
        time.sleep(waits[number])
        return number * number

    assert list(map_in_order(work, range(200))) == [number * number for number in range(200)]
    assert list(map_in_order(work, [])) == []


@pytest.mark.filterwarnings("error")
def test_whoever_stops_early_stops_the_threads(monkeypatch):
    monkeypatch.setattr(threads, "available_cores", lambda: 3)
    before, begun = threading.active_count(), []
    results = map_in_order(lambda number: begun.append(number) or number, range(1000))
    assert [next(results), next(results)] == [0, 1]
    results.close()
    assert threading.active_count() == before
    assert len(begun) <= 3 * AHEAD + 4  # no more is begun than may be ahead


def test_an_error_comes_out_where_its_result_would():
    def work(number: int) -> float:
        return 6 / (2 - number)

    results = map_in_order(work, range(1000))
    assert [next(results), next(results)] == [3, 6]
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert threading.active_count() < before
