"""Progress bars: on the error stream of a terminal, in the printed text of a notebook."""

import sys

from tqdm import tqdm


def bar(total: int, label: str, unit: str, *, shown: bool = True) -> tqdm:
    """Return a bar to ``update``, to use with ``with``.

    In a notebook it shares the stream of ordinary text, so that lines and bar stay in order on the page. It is a plain
    text bar there too: a widget would leave nothing in an exported page.
    """
    stream = sys.stdout if "ipykernel" in sys.modules else sys.stderr
    return tqdm(total=total, desc=label, unit=unit, disable=not shown, file=stream, mininterval=0.5, dynamic_ncols=True)
