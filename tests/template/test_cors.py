"""Web pages of other origins may call the gateway only if the operator names their origin."""

import re
from typing import Any

import pytest

from sandbox.template import Template
from tests.template.conditions import properties_of

WITHOUT_ORIGINS = Template()
WITH_ORIGINS = Template(parameters={"CorsOrigins": "https://app.example,http://localhost:3000"})
ORIGINS: dict[str, Any] = {"Fn::Split": [",", {"Ref": "CorsOrigins"}]}


@pytest.mark.parametrize("name", ["Api", "Bucket", "GenerateUrl", "EditUrl"])
def test_cors_is_off_by_default(name: str) -> None:
    """Without named origins, the API, the function URLs and the bucket have no CORS configuration."""
    assert not [key for key in properties_of(name, WITHOUT_ORIGINS) if key.startswith("Cors")]


@pytest.mark.parametrize(("name", "key"), [("Api", "CorsConfiguration"), ("GenerateUrl", "Cors"), ("EditUrl", "Cors")])
def test_named_origins_may_call_the_gateway(name: str, key: str) -> None:
    """Pages of the named origins may send the documented headers and read those of responses, without cookies."""
    cors = properties_of(name, WITH_ORIGINS)[key]
    methods = {route.method for function in WITH_ORIGINS.functions() for route in function.routes} - {"ANY"}

    assert cors["AllowOrigins"] == ORIGINS
    assert {"authorization", "content-type", "idempotency-key", "if-match", "prefer"} <= set(cors["AllowHeaders"])
    assert {"x-stainless-retry-count", "user-agent", "openai-organization"} <= set(cors["AllowHeaders"])
    assert set(cors["ExposeHeaders"]) == {
        "etag",
        "location",
        "preference-applied",
        "retry-after",
        "www-authenticate",
        "x-image-gateway-connection",
        "x-image-gateway-cost",
        "x-image-gateway-warnings",
        "x-request-id",
        "x-should-retry",
    }
    assert set(cors["AllowMethods"]) == (methods | {"PUT", "PATCH"} if name == "Api" else {"GET", "POST"})
    assert "AllowCredentials" not in cors


def test_named_origins_may_use_presigned_urls() -> None:
    """Pages of the named origins may download images and send uploads with presigned URLs of the bucket."""
    (rule,) = properties_of("Bucket", WITH_ORIGINS)["CorsConfiguration"]["CorsRules"]

    assert rule == {
        "AllowedHeaders": ["*"], "AllowedOrigins": ORIGINS, "AllowedMethods": ["GET", "POST"], "MaxAge": 3600
    }  # fmt: skip


@pytest.mark.parametrize(
    ("origins", "valid"),
    [
        ("", True),
        ("*", True),
        ("https://app.example", True),
        ("https://app.example,http://localhost:3000", True),
        ("app.example", False),
        ("https://app.example/", False),
        ("https://app.example, https://b.example", False),
        ("https://app.example,", False),
        ("javascript:alert(1)", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(origins: str, valid: bool) -> None:
    """CloudFormation rejects values that browsers never send as an origin, which would otherwise have no effect."""
    pattern = WITHOUT_ORIGINS.document["Parameters"]["CorsOrigins"]["AllowedPattern"]

    assert bool(re.fullmatch(pattern.removeprefix("^").removesuffix("$"), origins)) is valid


def test_no_name_is_rewritten_by_sam() -> None:
    """SAM renames its CORS keys in all strings of a conditional CORS configuration, so no name there contains one."""
    (condition, _then, _otherwise) = WITHOUT_ORIGINS.properties("Api")["CorsConfiguration"]["Fn::If"]
    keys = ("AllowOrigins", "AllowHeaders", "AllowMethods", "ExposeHeaders", "MaxAge", "AllowCredentials")

    assert not [key for key in keys if key in condition or key in ORIGINS["Fn::Split"][1]["Ref"]]
