"""The composition root: the stores and services of one deployment, each created at its first use.

`Gateway` has what several functions need; `config_parts` and `worker_parts` have what only these functions need.
"""

from image_gateway.container.gateway import Gateway, from_environment

__all__ = ["Gateway", "from_environment"]
