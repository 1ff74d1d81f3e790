"""`python -m recsys_ae`, for where the command `recsys-ae` is not on the path."""

import sys

from recsys_ae.cli import main

if __name__ == "__main__":
    sys.exit(main())
