"""A transport that loses responses of AWS to requests that were executed."""

import httpx


class LossyTransport(httpx.AsyncBaseTransport):
    """Sends each request, but raises an error instead of the next `losses` responses to writes to the table."""

    def __init__(self) -> None:
        self.losses = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        async with httpx.AsyncHTTPTransport() as transport:
            response = await transport.handle_async_request(request)
            content = await response.aread()
        if self.losses and "Get" not in request.headers["x-amz-target"]:
            self.losses -= 1
            raise httpx.ReadError("connection reset")
        return httpx.Response(response.status_code, headers=response.headers, content=content)
