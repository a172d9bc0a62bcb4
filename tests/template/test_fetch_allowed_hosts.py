"""`FetchAllowedHosts`: the template accepts only values that the functions can use."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from image_gateway.errors import NotConfigured
from image_gateway.settings import Settings
from sandbox.template import Template

PATTERN = Template().document["Parameters"]["FetchAllowedHosts"]["AllowedPattern"]
LINK_FETCHERS = {"GenerateFunction", "EditFunction", "WorkerFunction"}


def settings_of(function: str, hosts: str) -> Settings:
    """Read a function's settings in a stack with this value of the parameter."""
    functions = Template(parameters={"FetchAllowedHosts": hosts}).functions()
    return Settings.from_environment({item.name: item.environment for item in functions}[function])


@pytest.mark.parametrize(
    "hosts",
    [
        "",
        "images.internal",
        "images.internal,10.0.1.30:9000",
        "images.internal, 10.0.1.30:9000",
        "Images.Internal:65535",
        "my_nas",
        "3d-server",
        "[fd00::1]",
        "[fd00::1]:9000,[::1],[1:2:3:4:5:6:7:8]",
    ],
)
def test_hosts_and_ports_are_accepted(hosts: str) -> None:
    """Names, IPv4 addresses, and IPv6 addresses in brackets, each with or without a port."""
    assert re.fullmatch(PATTERN, hosts)


@pytest.mark.parametrize(
    "hosts",
    [
        "fd00::1",
        "images.internal,fd00::1",
        "[fd00::1",
        "[fd00:::1]",
        "[1::2::3]",
        "[1:2:3:4:5:6:7]",
        "[]",
        "a b",
        "a:0",
        "a:65536",
        "a:port",
        "a:",
        ":80",
        "a:1:2",
        "10.0.1",
        "10.0.0.256",
        "010.0.0.1",
        "0x7f000001",
        "2130706433",
        "a..b",
        ".a",
        "*.internal",
        "http://a",
        "a/b",
        "me@a",
        "a,,b",
        "a,",
        ",a",
        "-",
        " a",
        "a\n",
        "münchen.internal",
    ],
)
def test_other_values_are_refused(hosts: str) -> None:
    """A value that no link could match, or that is ambiguous, is refused before anything is deployed."""
    assert not re.fullmatch(PATTERN, hosts)


@settings(max_examples=20)  # of such a pattern, an example takes 0.1 s
@given(st.from_regex(PATTERN, fullmatch=True))
def test_the_functions_can_use_every_accepted_value(hosts: str) -> None:
    """What the template accepts is valid for the functions that fetch links."""
    read = Settings.from_environment(
        {"CONFIG_PARAMETER": "/p", "BUCKET": "b", "TABLE": "t", "FETCH_ALLOWED_HOSTS": hosts}
    )

    assert len(read.fetch_allowed_hosts) <= len(hosts.split(","))


@pytest.mark.parametrize("function", sorted(function.name for function in Template().functions()))
def test_only_functions_that_fetch_links_have_the_setting(function: str) -> None:
    """Another function, above all the dead-letter function, works whatever the value is."""
    if function in LINK_FETCHERS:
        with pytest.raises(NotConfigured, match="FetchAllowedHosts"):
            settings_of(function, "fd00::1")
    else:
        assert settings_of(function, "fd00::1").fetch_allowed_hosts == frozenset()
