"""The console's static files, read from the function's own package when it starts."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

CONTENT_TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""The content type of each kind of file that is served. Other files of the folder, such as types and licenses, are not.

The charset matters: the page's texts have characters beyond ASCII."""

PAGE = "index.html"
"""The file that is served as the page. In it, `{{version}}` and `{{files}}` are replaced."""


@dataclass(frozen=True)
class StaticFile:
    """A file as it is sent.

    Attributes:
        content: its content.
        content_type: its content type.
    """

    content: bytes
    content_type: str

    @cached_property
    def etag(self) -> str:
        """A weak validator: the same for the file and its compressed form."""
        return f'W/"{hashlib.sha256(self.content).hexdigest()[:16]}"'

    @cached_property
    def compressed(self) -> bytes:
        """The content with gzip, made at the first request for it and kept for the life of the process."""
        return gzip.compress(self.content, mtime=0)


class Site:
    """The files of a folder by their paths relative to it.

    All of them have one version, a hash of their names and contents. It is a part of their URLs, so a browser keeps
    them forever, and never combines files of two deployments.

    Args:
        folder: the folder.
    """

    def __init__(self, folder: Path) -> None:
        contents = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.suffix in CONTENT_TYPES
        }
        page = contents.pop(PAGE)
        digest = hashlib.sha256(page)
        for name, content in contents.items():
            digest.update(f"\n{name} {len(content)}\n".encode() + content)
        self.version = digest.hexdigest()[:16]
        self.files = {name: StaticFile(content, CONTENT_TYPES[Path(name).suffix]) for name, content in contents.items()}
        scripts = " ".join(name for name in self.files if name.endswith((".js", ".mjs")))
        html = page.decode().replace("{{version}}", self.version).replace("{{files}}", scripts)
        self.page = StaticFile(html.encode(), CONTENT_TYPES[".html"])
