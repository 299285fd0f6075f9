"""What sounds alike is found once, kept, and made again when what was kept is damaged."""

import numpy as np
import pytest

from sernb.audio.similarity import NEAR, find_similar, fingerprint
from sernb.corpora import similar_recordings
from sernb.corpora.pool import parse_pool
from sernb.corpora.preparation import prepare
from sernb.corpora.similar_recordings import find_similar_recordings
from sernb.features import LogMel


@pytest.fixture
def demo():
    return parse_pool("demo")


def test_no_pair_is_missed(demo):
    """Synthetic voices repeat themselves: what a comparison of everything with everything finds is found."""
    table = prepare(demo, LogMel())
    pictures = np.stack([fingerprint(table[clip]) for clip in demo.index["clip"]])
    likenesses = np.einsum("akd,bkd->abk", *[pictures.astype(np.float32)] * 2).max(axis=2)
    expected = {(a, b) for a, b in np.argwhere(likenesses >= NEAR).tolist() if a < b}
    assert expected
    assert set(map(tuple, find_similar(pictures).tolist())) == expected
    assert set(map(tuple, find_similar_recordings(demo).pairs.tolist())) == expected


def test_it_is_found_once_and_again_when_damaged(demo, work, monkeypatch):
    alike = find_similar_recordings(demo)
    with monkeypatch.context() as patch:
        patch.setattr(similar_recordings, "_compare", None)  # would fail if anything were compared
        np.testing.assert_array_equal(find_similar_recordings(demo).pairs, alike.pairs)
    (kept,) = work.glob("cache/alike/demo-*.npz")
    whole = kept.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole[:200] + bytes([whole[200] ^ 1]) + whole[201:]):
        kept.write_bytes(damaged)
        assert similar_recordings._read_cache(kept) is None
    np.testing.assert_array_equal(find_similar_recordings(demo).pairs, alike.pairs)
    assert kept.read_bytes() == whole
