"""An engine whose record holds the inputs of edits."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.sandbox_engine import SandboxEngine


@pytest.fixture
def engine(use_edit_engine: Callable[[str], "SandboxEngine"]) -> "SandboxEngine":
    """An engine whose record contains the inputs themselves."""
    return use_edit_engine("automatic1111")
