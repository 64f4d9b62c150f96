"""The make-believe driver, built once."""

from __future__ import annotations

from pathlib import Path

import pytest

from energy_bench.driver import NoCompilerError, build_driver


@pytest.fixture(scope="session")
def driver_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return build_driver(tmp_path_factory.mktemp("driver"))
    except NoCompilerError as error:
        pytest.skip(str(error))
