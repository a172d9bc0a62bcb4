"""HTTP requests of tests. httpx's own functions load the certificate authorities each time, which takes 20 ms."""

import ssl
from functools import partial
from typing import Final

import httpx

TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients of the tests' servers, which use no TLS. It trusts no certificate."""

request = partial(httpx.request, verify=TLS)
get = partial(httpx.get, verify=TLS)
post = partial(httpx.post, verify=TLS)
put = partial(httpx.put, verify=TLS)
delete = partial(httpx.delete, verify=TLS)
