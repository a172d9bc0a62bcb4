"""What the template tells a function."""

import pytest
from pydantic import ValidationError

from image_gateway.settings import Settings

REQUIRED = {"CONFIG_PARAMETER": "/p/config", "BUCKET": "b", "TABLE": "t"}


def test_settings_come_from_the_environment() -> None:
    """Empty variables are as good as none; hosts are a list."""
    settings = Settings.from_environment(
        {**REQUIRED, "URL_EXPIRY_SECONDS": "60", "KMS_KEY_ID": "", "FETCH_ALLOWED_HOSTS": " A.example, b:81,"}
    )

    assert settings.url_expiry_seconds == 60
    assert settings.config_ttl_seconds == 30
    assert settings.fetch_allowed_hosts == {"a.example", "b:81"}


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_name_stops_the_function(name: str) -> None:
    """A function without its bucket must not start."""
    with pytest.raises(ValidationError, match=name.lower()):
        Settings.from_environment({key: value for key, value in REQUIRED.items() if key != name})
