"""``python -m advdl``, for where the command is not on the path."""

import sys

from advdl.cli.app import main

sys.exit(main())
