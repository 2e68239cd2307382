# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill a mirror of release artifacts and container images, or list what belongs in it."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from collection import make_importable

make_importable()

from artifact_mirror.main import main

if __name__ == "__main__":
    sys.exit(main())
