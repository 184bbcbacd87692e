"""Where the program is: beside the Python that this package was installed for."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

NAME = "autoscalebot" + (sysconfig.get_config_var("EXE") or "")


def _places() -> Iterator[Path]:
    """Every folder that an installer may have put the program in, the likeliest first."""
    yield Path(sysconfig.get_path("scripts"))
    # `pip install --user`
    user = sysconfig.get_preferred_scheme("user") if sys.version_info >= (3, 10) else f"{os.name}_user"
    yield Path(sysconfig.get_path("scripts", scheme=user))
    # `pip install --target FOLDER` puts the program in FOLDER/bin
    package = Path(__file__).resolve().parent.parent
    yield package / "bin"
    # `pip install --prefix FOLDER`: FOLDER/lib/pythonX.Y/site-packages beside FOLDER/bin
    if len(package.parents) > 2:
        yield package.parents[2] / "bin"


def find_autoscalebot_bin() -> str:
    """Return the path of the program, or raise :class:`FileNotFoundError` that says where it was looked for."""
    tried = []
    for place in _places():
        program = place / NAME
        if program.is_file():
            return str(program)
        tried.append(str(program))
    raise FileNotFoundError(
        f"the program {NAME} is not installed beside this Python (looked for {', '.join(tried)}): "
        "run `pip install --force-reinstall autoscalebot`"
    )
