"""The settings of a function, from its environment variables."""

import pytest
from pydantic import ValidationError

from image_gateway.settings import Settings

REQUIRED = {"CONFIG_PARAMETER": "/p/config", "BUCKET": "b", "TABLE": "t"}


def test_settings_come_from_the_environment() -> None:
    """Empty variables count as absent, and hosts are a comma-separated list."""
    settings = Settings.from_environment(
        {**REQUIRED, "URL_EXPIRY_SECONDS": "60", "KMS_KEY_ID": "", "FETCH_ALLOWED_HOSTS": " A.example, b:81,"}
    )

    assert settings.url_expiry_seconds == 60
    assert settings.config_ttl_seconds == 30
    assert settings.fetch_allowed_hosts == {"a.example", "b:81"}


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_setting_is_an_error(name: str) -> None:
    """A function without a required setting does not start."""
    with pytest.raises(ValidationError, match=name.lower()):
        Settings.from_environment({key: value for key, value in REQUIRED.items() if key != name})
