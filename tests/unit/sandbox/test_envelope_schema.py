"""The JSON schema of requests by event, which the models generate."""

from pathlib import Path

import pytest

from sandbox import envelope_schema


def test_the_schema_in_the_layer_is_current() -> None:
    """The file is what the models generate now."""
    assert envelope_schema.main(["--check"]) == 0


def test_check_reports_an_outdated_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--check` fails and names the command that generates the schema, and that command generates it."""
    monkeypatch.setattr(envelope_schema, "TARGET", tmp_path / "envelope.schema.json")

    assert envelope_schema.main(["--check"]) == 1
    assert "python -m sandbox.envelope_schema" in capsys.readouterr().out
    assert envelope_schema.main([]) == 0
    assert envelope_schema.main(["--check"]) == 0
    assert set(envelope_schema.schema()["discriminator"]["mapping"]) == {"generation", "edit"}
