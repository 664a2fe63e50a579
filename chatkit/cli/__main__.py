"""``python -m chatkit.cli``."""

import sys

from . import main

sys.exit(main())
