"""The settings of a function, from its environment variables."""

import pytest

from image_gateway.errors import NotConfigured
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
    with pytest.raises(NotConfigured, match=name):
        Settings.from_environment({key: value for key, value in REQUIRED.items() if key != name})


@pytest.mark.parametrize(
    "hosts", ["a.example,fd00::1", "a.example,*.internal", "a.example,10.0.1", "a.example,b:0", "a.example,b/c"]
)
def test_an_invalid_host_is_an_error_that_names_the_template_parameter(hosts: str) -> None:
    """The operator learns what to correct. The hosts are not repeated, because callers see the error too."""
    with pytest.raises(
        NotConfigured, match=r"FETCH_ALLOWED_HOSTS \(template parameter FetchAllowedHosts\).*entry 2"
    ) as caught:
        Settings.from_environment({**REQUIRED, "FETCH_ALLOWED_HOSTS": hosts})

    assert "a.example" not in caught.value.detail
    assert hosts.partition(",")[2] not in caught.value.detail


@pytest.mark.parametrize(("text", "seconds"), [("60", 60), ("060", 60), ("60.0", 60), ("90.5", 90), ("6e1", 60)])
def test_a_whole_number_may_be_written_as_any_number(text: str, seconds: int) -> None:
    """CloudFormation accepts all of these as a value of a parameter of type Number."""
    assert Settings.from_environment({**REQUIRED, "URL_EXPIRY_SECONDS": text}).url_expiry_seconds == seconds


@pytest.mark.parametrize("text", ["soon", "nan", "inf", "0"])
def test_a_number_that_cannot_be_used_is_an_error(text: str) -> None:
    """The error names the variable and the template parameter."""
    with pytest.raises(NotConfigured, match=r"URL_EXPIRY_SECONDS \(template parameter UrlExpirySeconds\)"):
        Settings.from_environment({**REQUIRED, "URL_EXPIRY_SECONDS": text})
