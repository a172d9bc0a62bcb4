"""Signatures equal botocore's, byte for byte."""

import datetime as dt
import json
from base64 import b64decode
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import botocore.auth
import botocore.credentials
import pytest
from botocore.auth import S3SigV4Auth, S3SigV4PostAuth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest

from image_gateway.aws.signing import Credentials, Signer

MOMENT = dt.datetime(2026, 11, 22, 9, 5, 7, tzinfo=dt.UTC)
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKENS = {"user": None, "role": "IQoJb3JpZ2luX2VjE+/=="}
TARGET = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "DynamoDB_20120810.GetItem"}
METADATA = {
    "content-type": "image/png",
    "x-amz-meta-model": "a  model   of [many] words",
    "x-amz-meta-engine": " openai ",
}
REQUESTS = {
    "dynamodb": ("dynamodb", "POST", "https://dynamodb.eu-central-1.amazonaws.com/", TARGET, b'{"TableName":"t"}'),
    "ssm": (
        "ssm",
        "POST",
        "https://ssm.eu-central-1.amazonaws.com/",
        {"content-type": "application/x-amz-json-1.1", "x-amz-target": "AmazonSSM.GetParameter"},
        '{"Name":"/grün/config"}'.encode(),
    ),
    "sqs": (
        "sqs",
        "POST",
        "http://127.0.0.1:5000/",
        {"content-type": "application/x-amz-json-1.0", "x-amz-target": "AmazonSQS.SendMessage"},
        b"{}",
    ),
    "events": (
        "events",
        "POST",
        "https://events.cn-north-1.amazonaws.com.cn/",
        {"content-type": "application/x-amz-json-1.1", "x-amz-target": "AWSEvents.PutEvents"},
        b"{}",
    ),
    "an endpoint with a path": ("ssm", "POST", "https://proxy.example/a%20b/~c/", TARGET, b"{}"),
    "put": ("s3", "PUT", "https://b.s3.eu-central-1.amazonaws.com/images/0.png", METADATA, bytes(range(256)) * 5000),
    "put empty": (
        "s3",
        "PUT",
        "https://b.s3.eu-central-1.amazonaws.com/empty",
        {"content-type": "text/plain"},
        b"",
    ),
    "put by path": ("s3", "PUT", "http://127.0.0.1:5000/bucket/images/0.png", METADATA, b"png"),
    "get": ("s3", "GET", "https://b.s3.eu-central-1.amazonaws.com/images/0.png", {"if-match": '"abc"'}, b""),
    "get a version": ("s3", "GET", "https://b.s3.eu-central-1.amazonaws.com/a.json?versionId=v%2B1%2F", {}, b""),
}
KEYS = ["a b.json", "grün/日本語.png", "a+b&c=d?e#f%g", "~tilde/-_.!'()*", "a//b", "a/../b/./c", "/leading", "50%20off"]
for key in KEYS:
    address = f"https://b.s3.eu-central-1.amazonaws.com/{quote(key, safe='/-_.~')}"
    REQUESTS[f"get {key}"] = ("s3", "GET", address, {}, b"")


@pytest.fixture(autouse=True)
def botocores_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set botocore's clock to the moment of the signer."""
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: MOMENT)


@pytest.fixture(params=TOKENS)
def token(request: pytest.FixtureRequest) -> str | None:
    """The session token of a role, or None for a user."""
    return TOKENS[request.param]


def sign_as_botocore(kind: type[SigV4Auth], token: str | None, service: str, request: AWSRequest, **more: Any) -> None:
    credentials = botocore.credentials.Credentials("AKID", SECRET, token)
    kind(credentials, service, "eu-central-1", **more).add_auth(request)


def signer(token: str | None, service: str) -> Signer:
    return Signer(Credentials("AKID", SECRET, token), "eu-central-1", service, MOMENT)


@pytest.mark.parametrize("name", REQUESTS)
def test_signed_headers_equal_botocores(name: str, token: str | None) -> None:
    """Each kind of request has the same headers and the same signature."""
    service, method, url, headers, body = REQUESTS[name]
    request = AWSRequest(method, url, dict(headers), body)
    sign_as_botocore(S3SigV4Auth if service == "s3" else SigV4Auth, token, service, request)

    signed = signer(token, service).headers(method, url, headers, body)

    host = signed.pop("host")
    assert signed == {key.lower(): value for key, value in request.headers.items()}
    assert url.split("/")[2] == host


def test_a_memory_view_is_signed_like_bytes() -> None:
    """A body in a memory view, which is not copied, has the same signature."""
    service, method, url, headers, body = REQUESTS["put"]

    signed = signer(None, service).headers(method, url, headers, memoryview(body))

    assert signed == signer(None, service).headers(method, url, headers, body)


@pytest.mark.parametrize("key", [*KEYS, "images/2026/11/22/job/0.png"])
@pytest.mark.parametrize("address", ["https://b.s3.eu-central-1.amazonaws.com/", "http://127.0.0.1:5000/bucket/"])
def test_presigned_urls_equal_botocores(address: str, key: str, token: str | None) -> None:
    """URLs are the same for every key, with the bucket as host and as path."""
    url = address + quote(key, safe="/-_.~")
    request = AWSRequest("GET", url)
    sign_as_botocore(S3SigV4QueryAuth, token, "s3", request, expires=3600)

    assert signer(token, "s3").presigned_url(url, 3600) == request.url


def test_presigned_urls_with_response_headers_have_botocores_signature(token: str | None) -> None:
    """Parameters that change the headers of S3's response are part of the signature, wherever they are in the query."""
    url = "https://b.s3.eu-central-1.amazonaws.com/images/0.png"
    disposition = 'attachment; filename="job-0.png"'
    request = AWSRequest("GET", f"{url}?response-content-disposition={quote(disposition, safe='')}")
    sign_as_botocore(S3SigV4QueryAuth, token, "s3", request, expires=3600)

    signed = signer(token, "s3").presigned_url(url, 3600, {"response-content-disposition": disposition})

    assert dict(parse_qsl(urlsplit(signed).query)) == dict(parse_qsl(urlsplit(str(request.url)).query))


def test_presigned_posts_equal_botocores(token: str | None) -> None:
    """Forms have the same fields, the same policy and the same signature."""
    conditions = [{"Content-Type": "image/png"}, ["content-length-range", 1, 5], {"bucket": "b"}, {"key": "grün"}]
    fields = {"Content-Type": "image/png", "key": "grün"}
    policy = {"expiration": "2026-11-22T09:20:07Z", "conditions": list(conditions)}
    request = AWSRequest("POST", "https://b.s3.eu-central-1.amazonaws.com/")
    request.context.update({"s3-presign-post-fields": dict(fields), "s3-presign-post-policy": policy})
    sign_as_botocore(S3SigV4PostAuth, token, "s3", request)

    form = signer(token, "s3").presigned_post(MOMENT + dt.timedelta(minutes=15), fields, conditions)

    assert form == request.context["s3-presign-post-fields"]
    assert json.loads(b64decode(form["policy"]))["conditions"][:4] == conditions


def test_a_repr_contains_no_secrets() -> None:
    """The `repr` contains neither the secret key nor the session token, so logging it is harmless."""
    shown = repr(signer("a-session-token", "s3"))

    assert "AKID" in shown
    assert SECRET not in shown
    assert "a-session-token" not in shown
