"""A server of images that records the paths it was asked for."""

from dataclasses import dataclass, field


@dataclass
class ImageServer:
    """A server of images that counts who asks."""

    url: str = ""
    requested: list[str] = field(default_factory=list)
