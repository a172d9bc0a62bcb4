"""Why a server cannot be reached, without its host or address."""

import socket
import ssl
from collections.abc import Iterator


def unreachable_reason(error: BaseException) -> str:
    """Return why no connection was made. The system's own text is left out: it holds the host and the address."""
    for cause in _causes(error):
        match cause:
            case socket.gaierror():
                return "its host is not known"
            case ssl.SSLCertVerificationError():
                # The part after the comma names the host.
                return f"its certificate: {cause.verify_message.partition(',')[0]}"
            case ssl.SSLError():
                return "TLS failed"
            case ConnectionRefusedError():
                return "connection refused"
    return "no connection"


def is_permanent(error: BaseException) -> bool:
    """Return whether no connection can be made until the operator changes something: the certificate is not trusted."""
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error:
        yield error
        error = error.__cause__ or error.__context__
