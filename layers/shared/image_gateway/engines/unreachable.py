"""Why a server cannot be reached, in words that do not tell where it is."""

import socket
import ssl
from collections.abc import Iterator


def why(error: BaseException) -> str:
    """What kept a connection from being made: neither host nor address, which the system's own words hold."""
    for cause in _causes(error):
        match cause:
            case socket.gaierror():
                return "its host is not known"
            case ssl.SSLCertVerificationError():
                # What follows a comma says whose the certificate is not.
                return f"its certificate: {cause.verify_message.partition(',')[0]}"
            case ssl.SSLError():
                return "TLS failed"
            case ConnectionRefusedError():
                return "connection refused"
    return "no connection"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error:
        yield error
        error = error.__cause__ or error.__context__
