"""`python -m scaling_trainer.driver`: the driver of one experiment, started again where it crashes."""

import os
import sys

from scaling_trainer.driver.supervise import CHILD, supervise


def main() -> int:
    """Run the driver, or look after the process that does."""
    if CHILD not in os.environ:
        return supervise(sys.argv[1:])
    from scaling_trainer.driver.start import start

    return start(sys.argv[1:], parent=int(os.environ.pop(CHILD)))


if __name__ == "__main__":
    sys.exit(main())
