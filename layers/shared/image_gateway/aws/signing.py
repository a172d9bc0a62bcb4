"""AWS Signature Version 4 for headers, presigned URLs and POST forms, with the same results as botocore.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"
_UNRESERVED = "-_.~"


@dataclass(frozen=True, slots=True)
class Credentials:
    """AWS credentials. `token` is the session token of a role; a user's credentials have none."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs requests to one service in one region at one moment (UTC)."""

    credentials: Credentials
    region: str
    service: str
    moment: datetime

    def headers(self, method: str, url: str, headers: Mapping[str, str], body: bytes | memoryview) -> dict[str, str]:
        """Return the headers of a request with its signature, with names in lower case.

        Args:
            method: the HTTP method.
            url: absolute, percent-encoded as it will be sent, with its query sorted by name.
            headers: headers to sign, with names in lower case, without `host`.
            body: its hash is part of the signature, so AWS refuses a changed body.
        """
        parts = urlsplit(url)
        digest = hashlib.sha256(body).hexdigest()
        signed = {**headers, "host": parts.netloc, "x-amz-date": self._time, **self._token("x-amz-security-token")}
        path = parts.path or "/"
        if self.service == "s3":
            signed["x-amz-content-sha256"] = digest
        else:
            path = quote(path, safe="/~")
        signature = self._sign(_canonical(method, path, parts.query, signed, digest))
        signed["authorization"] = (
            f"{ALGORITHM} Credential={self._credential}, SignedHeaders={_names(signed)}, Signature={signature}"
        )
        return signed

    def presigned_url(self, url: str, seconds: int, response_headers: Mapping[str, str] = MappingProxyType({})) -> str:
        """Return a presigned URL, with which anybody may GET the S3 object at `url` for `seconds`.

        `response_headers` are headers that S3 sends with the object, by S3's names of their parameters, such as
        `response-content-disposition`.
        """
        parts = urlsplit(url)
        query = {
            "X-Amz-Algorithm": ALGORITHM,
            "X-Amz-Credential": self._credential,
            "X-Amz-Date": self._time,
            "X-Amz-Expires": str(seconds),
            "X-Amz-SignedHeaders": "host",
            **self._token("X-Amz-Security-Token"),
            **response_headers,
        }
        pairs = [f"{name}={quote(value, safe=_UNRESERVED)}" for name, value in query.items()]
        canonical = _canonical("GET", parts.path, "&".join(sorted(pairs)), {"host": parts.netloc}, "UNSIGNED-PAYLOAD")
        return f"{url}?{'&'.join(pairs)}&X-Amz-Signature={self._sign(canonical)}"

    def presigned_post(self, expiration: datetime, fields: Mapping[str, str], conditions: list[Any]) -> dict[str, str]:
        """Return the fields of a presigned POST: a form with them may be sent to S3 until `expiration`.

        https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
        """
        signing = {
            "x-amz-algorithm": ALGORITHM,
            "x-amz-credential": self._credential,
            "x-amz-date": self._time,
            **self._token("x-amz-security-token"),
        }
        policy = {
            "expiration": f"{expiration:%Y-%m-%dT%H:%M:%SZ}",
            "conditions": [*conditions, *({name: value} for name, value in signing.items())],
        }
        encoded = base64.b64encode(json.dumps(policy).encode()).decode()
        return {**fields, **signing, "policy": encoded, "x-amz-signature": self._hmac(encoded)}

    @property
    def _time(self) -> str:
        return f"{self.moment:%Y%m%dT%H%M%SZ}"

    @property
    def _scope(self) -> str:
        return f"{self.moment:%Y%m%d}/{self.region}/{self.service}/aws4_request"

    @property
    def _credential(self) -> str:
        return f"{self.credentials.access_key}/{self._scope}"

    def _token(self, name: str) -> dict[str, str]:
        return {name: self.credentials.token} if self.credentials.token else {}

    def _sign(self, canonical: str) -> str:
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        return self._hmac(f"{ALGORITHM}\n{self._time}\n{self._scope}\n{digest}")

    def _hmac(self, text: str) -> str:
        key = f"AWS4{self.credentials.secret_key}".encode()
        for part in self._scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.digest(key, text.encode(), "sha256").hex()


def _canonical(method: str, path: str, query: str, headers: Mapping[str, str], digest: str) -> str:
    lines = [f"{name}:{' '.join(headers[name].split())}" for name in sorted(headers)]
    return "\n".join((method, path, query, *lines, "", _names(headers), digest))


def _names(headers: Mapping[str, str]) -> str:
    return ";".join(sorted(headers))
