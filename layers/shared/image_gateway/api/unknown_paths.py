"""What to do about requests to paths under `/v1` that the gateway does not have.

Clients of the OpenAI API build them from a base URL, which may be wrong, or use other parts of the API.
"""

import re

_METHODS = {"/v1/images/generations": "POST", "/v1/images/edits": "POST", "/v1/models": "GET"}
_ROUTES = "It has POST /v1/images/generations, POST /v1/images/edits and GET /v1/models"


def openai_path_error(path: str, method: str) -> tuple[int, str]:
    """Return the status, 404 or 405, and the error message for a path that begins with `/v1/`."""
    if method == _METHODS.get(path):
        # At a function URL, or at an address of the API with several slashes in front of the path.
        return 404, (
            "This address does not serve this path: a base URL is the API's URL and /v1, with one slash between them, "
            "and function URLs serve images only"
        )
    if path in _METHODS:
        return 405, f"This path does not support this method: send {_METHODS[path]} {path}"
    if "//" in path:
        return 404, "No route has this path: set a base URL that ends with /v1, without a slash after it"
    if path.startswith("/v1/v1/"):
        return 404, "No route has this path: the base URL ends with /v1 already, or must not"
    if path.removesuffix("/") in _METHODS:
        return 404, f"No route has this path: send {_METHODS[path.removesuffix('/')]} {path.removesuffix('/')}"
    if re.fullmatch(r"/v1/images?/variations?", path):
        return 404, "There are no variations: send the image with a prompt to POST /v1/images/edits"
    if re.match(r"/v1/(chat/|completions|responses|messages|embeddings|audio/|moderations|files|batches)", path):
        return 404, f"This gateway makes images only. {_ROUTES}"
    return 404, f"No route has this path. {_ROUTES}"
