"""The reason why a server cannot be reached, without its address."""

import socket
import ssl

import pytest

from image_gateway.engines.unreachable import unreachable_reason


def certificate_error(text: str) -> ssl.SSLCertVerificationError:
    """Return the error about a certificate, with the text of the system's library."""
    error = ssl.SSLCertVerificationError(1, f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {text}")
    error.verify_message = text
    return error


@pytest.mark.parametrize(
    ("cause", "reported"),
    [
        (socket.gaierror(-2, "Name or service not known"), "its host is not known"),
        (ConnectionRefusedError(111, "Connect call failed ('10.0.0.7', 8188)"), "connection refused"),
        (certificate_error("self-signed certificate"), "its certificate: self-signed certificate"),
        (
            certificate_error("Hostname mismatch, certificate is not valid for 'inside'."),
            "its certificate: Hostname mismatch",
        ),
        (ssl.SSLError(1, "[SSL] record layer failure"), "TLS failed"),
        (OSError("Multiple exceptions: Connect call failed ('10.0.0.7', 8188)"), "no connection"),
    ],
)
def test_the_reason_has_no_address(cause: OSError, reported: str) -> None:
    """The system's text contains hosts and addresses."""
    error = OSError("could not connect to http://inside:8188")
    error.__cause__ = cause

    assert unreachable_reason(error) == reported
