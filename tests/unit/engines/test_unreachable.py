"""Why a server cannot be reached is told without telling where it is."""

import socket
import ssl

import pytest

from image_gateway.engines.unreachable import unreachable_reason


def distrusted(said: str) -> ssl.SSLCertVerificationError:
    """The error about a certificate, as the system's library words it."""
    error = ssl.SSLCertVerificationError(1, f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {said}")
    error.verify_message = said
    return error


@pytest.mark.parametrize(
    ("cause", "reported"),
    [
        (socket.gaierror(-2, "Name or service not known"), "its host is not known"),
        (ConnectionRefusedError(111, "Connect call failed ('10.0.0.7', 8188)"), "connection refused"),
        (distrusted("self-signed certificate"), "its certificate: self-signed certificate"),
        (distrusted("Hostname mismatch, certificate is not valid for 'inside'."), "its certificate: Hostname mismatch"),
        (ssl.SSLError(1, "[SSL] record layer failure"), "TLS failed"),
        (OSError("Multiple exceptions: Connect call failed ('10.0.0.7', 8188)"), "no connection"),
    ],
)
def test_the_reason_is_told_without_an_address(cause: OSError, reported: str) -> None:
    """What the system says of hosts and addresses stays behind."""
    error = OSError("could not connect to http://inside:8188")
    error.__cause__ = cause

    assert unreachable_reason(error) == reported
