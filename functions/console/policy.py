"""What the console's page may do in a browser: the headers of its response."""

from collections.abc import Mapping


def page_headers(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that restrict the page.

    Scripts, styles and requests are only of the gateway itself, and none are inline. Images may also be of the bucket,
    and of files that the user has chosen, which never leave the browser in that way.

    Args:
        environ: the function's environment variables.
    """
    directives = [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        f"img-src 'self' blob: data: {_bucket_sources(environ)}".rstrip(),
        # These do not fall back to `default-src`. Users type tokens into the page, so no other page may frame it.
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # No text can become a script by way of the document: there is no policy that would make it trusted.
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
    return {
        "Content-Security-Policy": "; ".join(directives),
        # A presigned URL must not learn the address of a deployment, nor anybody what somebody looks at.
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "X-Frame-Options": "DENY",
    }


def _bucket_sources(environ: Mapping[str, str]) -> str:
    """Return where presigned URLs lead: the bucket's hosts, or its path on an endpoint that a variable sets."""
    endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    if endpoint and (bucket := environ.get("BUCKET")):
        return f"{endpoint.rstrip('/')}/{bucket}/"
    return environ.get("BUCKET_ORIGINS", "")
