"""The sources of lb as the architecture tests read them."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "lb"


def module_of(path: Path, root: Path = ROOT) -> str:
    parts = list(path.relative_to(root).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES: dict[str, Path] = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
DECLARATIONS: dict[str, Path] = {module_of(path): path for path in sorted(PACKAGE.rglob("*.pxd"))}
