"""Build of the hot rooms: the same .py files, compiled by Cython in its pure Python mode.

All or nothing: a compiled module that imports the C types of an interpreted one does not load. Where
no C compiler (or no Python.h) is found, the package is installed interpreted and says so; where there
is one, an error in a source is an error. `LB_PURE=1` asks for the interpreted build. What was compiled
is recorded beside the extensions for lb/build.py, which notices sources that changed afterwards.
"""

from __future__ import annotations

import json
import os
import sys
import sysconfig
import tempfile
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))  # a build front end does not put the project on the path

from lb import build  # noqa: E402

GENERATED = Path("build/cython")  # the C files: never among the sources
CORES = os.cpu_count() or 1
# Cython stores `x or Typed()` through a generic pointer, to the same bytes: newer compilers refuse that.
FLAGS = ["-O2", "-g0", "-Wno-incompatible-pointer-types"]
DIRECTIVES = {
    "annotation_typing": True,
    "always_allow_keywords": True,
    "binding": False,
    "embedsignature": True,
    "show_performance_hints": False,
    # the same meaning as interpreted Python; a hot file turns checks off for itself, with a reason
    "wraparound": True,
    "boundscheck": True,
    "nonecheck": True,  # an AttributeError, as interpreted, where C would read through a null pointer
    "cdivision": False,
}


class BuildHotRooms(build_ext):
    """Translates, compiles on every core, and records what it compiled."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or CORES

    def run(self) -> None:
        reason = "" if compiler_works() else "no working C compiler or no Python.h when it was installed"
        if reason:
            print(
                f"lb: {reason}. The interpreted build is used: same results, slower.\n"
                "lb: with a compiler and Python's headers (Debian: gcc python3-dev), "
                "install again, or run `make build`.",
                file=sys.stderr,
            )
            self.extensions = []
        else:
            self.translate()
            super().run()
        places = [Path(self.build_lib) / "lb"] + ([ROOT / "lb"] if self.inplace else [])
        for place in places:
            leave_record(place, reason)

    def translate(self) -> None:
        """Cython's part: .py to .c, for what changed and for what includes it."""
        from Cython import __version__ as cython_version
        from Cython.Build import cythonize
        from Cython.Compiler.Errors import CompileError as CythonError

        settings = repr((DIRECTIVES, FLAGS, cython_version, sys.version))
        marker = GENERATED / "settings"
        changed = not marker.exists() or marker.read_text() != settings
        self.force = self.force or changed
        date_changed_sources()
        try:
            translated = cythonize(
                self.extensions,
                build_dir=str(GENERATED),
                nthreads=CORES,
                force=self.force,
                language_level=3,
                compiler_directives=DIRECTIVES,
            )
        except CythonError as problem:  # Cython has printed the place; the stacks of its workers bury it
            raise SystemExit(f"lb: Cython does not accept {problem} (see above)") from None
        found = {extension.name: extension for extension in translated}
        for extension in self.extensions:
            extension.sources = found[extension.name].sources
            extension.depends = found[extension.name].depends
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(settings)


def compiler_works() -> bool:
    """Whether an extension module can be compiled and linked here."""
    from distutils.ccompiler import new_compiler  # setuptools' own copy, on every version of Python
    from distutils.sysconfig import customize_compiler

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text("#include <Python.h>\nint probe(void) { return PY_MAJOR_VERSION; }\n")
        paths = sysconfig.get_paths()
        headers = [paths["include"], paths["platinclude"]]
        try:
            compiler = new_compiler()
            customize_compiler(compiler)
            objects = compiler.compile([str(source)], output_dir=folder, include_dirs=headers)
            compiler.link_shared_object(objects, str(Path(folder, "probe.so")))
        except (BaseError, CCompilerError, OSError) as problem:
            print(f"lb: trying the C compiler: {problem}", file=sys.stderr)
            return False
    return True


def date_changed_sources() -> None:
    """Cython and setuptools compare dates. A source whose content changed under an old date (copied
    with its date, checked out by a tool that keeps dates) is given the present one."""
    for source in build.hot_sources():
        generated = (GENERATED / source.relative_to(ROOT)).with_suffix(".c")
        mark = generated.with_suffix(".digest")
        now = build.digest(source)
        if generated.exists() and (not mark.exists() or mark.read_text() != now):
            for path in (source, source.with_suffix(".pxd")):
                if path.exists():
                    os.utime(path)
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(now)


def leave_record(package: Path, reason: str) -> None:
    """Write down the extensions that are there, and drop those that nothing accounts for."""
    package.mkdir(parents=True, exist_ok=True)
    modules: dict[str, str] = {}
    kept: set[Path] = set()
    for source in build.hot_sources() if not reason else []:
        extension = build.extension_of(package / source.relative_to(build.PACKAGE))
        if extension is not None:
            kept.add(extension)
            modules[build.module_name(source)] = build.digest(source)
    for suffix in EXTENSION_SUFFIXES:
        for extension in set(package.rglob(f"*{suffix}")) - kept:
            extension.unlink(missing_ok=True)
    (package / build.RECORD).write_text(json.dumps({"reason": reason, "modules": modules}, indent=1) + "\n")


def hot_extensions() -> list[Extension]:
    if os.environ.get("LB_PURE") == "1":
        return []
    return [
        Extension(build.module_name(source), [str(source.relative_to(ROOT))], extra_compile_args=FLAGS)
        for source in build.hot_sources()
    ]


if __name__ == "__main__":  # the workers of cythonize may import this file again
    setup(ext_modules=hot_extensions(), cmdclass={"build_ext": BuildHotRooms})
