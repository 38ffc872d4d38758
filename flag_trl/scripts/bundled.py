"""Files that stand at the top of the repository and come inside the installed package."""

from importlib.resources import files
from pathlib import Path


def bundled(name: str) -> Path:
    """A file of this folder, else that which came with the package, else that of the checkout it runs from."""
    package = Path(str(files("flag_trl")))
    here, *others = Path(name), package / name, package.parent / name
    return next((path for path in (here, *others) if path.exists()), here)
