"""What pyproject.toml cannot say: the folder configs/ travels in the package, for `recsys-ae init`."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfigs(build_py):
    """Copies configs/ into the package that is built. An editable install has them in its checkout."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            place = Path(self.build_lib) / "recsys_ae" / "configs"
            shutil.rmtree(place, ignore_errors=True)  # of an earlier build, with files that are gone since
            shutil.copytree("configs", place)


setup(cmdclass={"build_py": BuildWithConfigs})
