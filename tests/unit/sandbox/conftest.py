"""Handlers for tests that run Lambda environments."""

from pathlib import Path

import pytest

from tests.unit.sandbox.lambda_handlers import HANDLERS


@pytest.fixture
def handlers_folder(tmp_path: Path) -> Path:
    """A folder with the modules `handlers` and `broken`, which fails when it is imported."""
    (tmp_path / "handlers.py").write_text(HANDLERS)
    (tmp_path / "broken.py").write_text("raise RuntimeError('planted defect')")
    return tmp_path
