"""Adds the project to the package: conftest.py, pytest.ini, hypotheses/ and fixtures/ become vsg_core/project/.

Everything else about the build is in pyproject.toml. In an editable installation the project is the checkout.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


def project_files() -> list[Path]:
    """The files of the project, relative to this folder."""
    folders = [path for name in ("hypotheses", "fixtures") for path in (ROOT / name).rglob("*")]
    files = [
        path.relative_to(ROOT) for path in folders if path.is_file() and path.parent.name != "__pycache__"
    ]
    return [Path("conftest.py"), Path("pytest.ini"), *sorted(files)]


class BuildWithProject(build_py):
    """Copies the project into the build, as it is now: build/ may be an older one's."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            shutil.rmtree(self.project, ignore_errors=True)
            for path in project_files():
                target = self.project / path
                self.mkpath(str(target.parent))
                self.copy_file(str(ROOT / path), str(target))

    @property
    def project(self) -> Path:
        return Path(self.build_lib) / "vsg_core" / "project"

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        added = [] if self.editable_mode else [str(self.project / path) for path in project_files()]
        return [*super().get_outputs(include_bytecode), *added]


setup(cmdclass={"build_py": BuildWithProject})
