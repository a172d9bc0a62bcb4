"""What the console's page may do in a browser."""

import pytest

from functions.console.policy import page_headers


def directives(environ: dict[str, str]) -> dict[str, list[str]]:
    """Return the sources of each directive of the page's policy."""
    policy = page_headers(environ)["Content-Security-Policy"]
    parts = [part.split() for part in policy.split(";")]
    return {name: sources for name, *sources in parts}


def test_the_page_loads_scripts_styles_and_data_only_from_the_gateway() -> None:
    """There is no inline script or style, no plugin and no frame; no other page may frame it."""
    policy = directives({"BUCKET": "b"})

    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == ["'self'"]
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == ["'none'"]
    assert policy["trusted-types"] == ["'none'"]


@pytest.mark.parametrize(
    ("environ", "sources"),
    [
        ({"BUCKET_ORIGINS": "https://b.s3.eu.example https://b.s3.dualstack.eu.example"}, None),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:5000/"}, ["http://127.0.0.1:5000/b/"]),
        ({"AWS_ENDPOINT_URL": "http://x", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}, ["http://127.0.0.1:1/b/"]),
    ],
)
def test_images_may_come_from_the_bucket(environ: dict[str, str], sources: list[str] | None) -> None:
    """Beside local files, the bucket's addresses of the environment are the only sources of images."""
    expected = sources or environ["BUCKET_ORIGINS"].split()

    assert directives({"BUCKET": "b", **environ})["img-src"] == ["'self'", "blob:", "data:", *expected]
