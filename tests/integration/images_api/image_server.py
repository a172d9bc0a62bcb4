"""A server of images that records the requested paths."""

from dataclasses import dataclass, field


@dataclass
class ImageServer:
    """The URL of an image server, and the paths that were requested from it."""

    url: str = ""
    requested: list[str] = field(default_factory=list)
