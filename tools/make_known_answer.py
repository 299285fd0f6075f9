"""Compute the known embedding of an encoder for its record: ``python tools/make_known_answer.py whisper-small``.

The file must have the published sha256. Copy the output to ``sernb/encoders/registry.py`` after comparing the final
layer with an independent implementation, as ``tests/encoders/test_encoders.py`` does.
"""

import sys

from sernb.config import DataError
from sernb.encoders.loading import embed_clip, load_encoder, select_known
from sernb.encoders.registry import record_of


def main() -> int:
    """Print the known embedding of each encoder named on the command line."""
    for name in sys.argv[1:]:
        try:
            encoder = load_encoder(record_of(name).name)
        except DataError as error:
            print(error, file=sys.stderr)
            return 1
        print(f"{name}: {select_known(embed_clip(encoder))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
