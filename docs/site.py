"""What the site of `make docs` is made of: a hook of mkdocs.

Lives here: which files of the repository are on the site, each at the place that it has in the repository, so
that relative links mean the same there. Must not live here: the looks and the order of pages (mkdocs.yml).
"""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PAGES = (
    "README.md",
    "CHANGELOG.md",
    "docs/**/*.md",
    "docker/README.md",
    "bench/README.md",
    "bench/results/*.md",
)
# What pages link to.
BESIDE = (
    "LICENSE",
    "docs/**/*.json",
    "docs/**/*.yaml",
    "docs/images/*",
    "docs/systemd/*",
    "config/*.yaml",
    "docker/**/*",
    "bench/results/*.png",
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """In place of what is in docs/; what belongs to the theme stays."""
    root = Path(config.config_file_path).parent
    found = [file for file in files if file.src_uri.startswith(("css/", "js/", "img/", "search/"))]
    for path in sorted(
        {path for pattern in (*PAGES, *BESIDE) for path in root.glob(pattern) if path.is_file()}
    ):
        place = path.relative_to(root).as_posix()
        found.append(File.generated(config, place, abs_src_path=str(path)))
    return Files(found)
