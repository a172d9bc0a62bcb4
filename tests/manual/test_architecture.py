"""The page on architecture names the packages and modules that exist, in the order in which imports may go."""

import re
import tomllib
from pathlib import Path

from sandbox.template import ROOT
from tests.manual.pages import Page, tables

PACKAGE = ROOT / "layers/shared/image_gateway"
PAGE = Page.read("docs/architecture.md")

NAMES = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
"""The packages and modules at the top of `image_gateway`."""


def missing_modules(text: str) -> list[str]:
    """The names in backticks, such as `jobs.store`, whose first part is a package and whose whole is no module."""
    names = re.findall(r"`([a-z0-9_]+(?:\.[a-z0-9_]+)+)`", text)
    paths = {name: PACKAGE.joinpath(*name.split(".")) for name in names if name.split(".")[0] in NAMES}
    return [name for name, path in paths.items() if not (path.with_suffix(".py").exists() or path.is_dir())]


def is_in_module(path: Path) -> bool:
    """Whether a module, or the module of a package, has something with the last name of the path."""
    modules = (path.parent.with_suffix(".py"), path.parent / "__init__.py")
    return any(module.exists() and path.name in module.read_text("utf-8") for module in modules)


def documented_packages() -> list[str]:
    """The packages of the page's table, from the ground up."""
    (table,) = tables(PAGE.section("Packages"))
    return table.names()


def test_the_table_has_every_package() -> None:
    """No more and no fewer."""
    assert sorted(documented_packages()) == sorted(NAMES - {"__init__"})


def test_the_table_has_the_order_that_make_check_enforces() -> None:
    """Each package stands below all that it may import."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    levels = {name.strip(): level for level, names in enumerate(reversed(layers)) for name in names.split("|")}

    order = [levels[name] for name in documented_packages()]

    assert order == sorted(order)


def test_every_module_that_is_named_exists() -> None:
    """A module that was renamed has another name on the page too."""
    assert missing_modules(PAGE.prose) == []


def test_every_module_that_a_docstring_names_exists() -> None:
    """A name is that of a module, or of something in a module, such as `images.normalize.normalize`."""
    sources = [path.read_text("utf-8") for folder in (PACKAGE, ROOT / "functions") for path in folder.rglob("*.py")]
    missing = {name: PACKAGE.joinpath(*name.split(".")) for source in sources for name in missing_modules(source)}

    assert [name for name, path in missing.items() if not is_in_module(path)] == []


def test_a_module_that_does_not_exist_is_found() -> None:
    """Names of other things with a dot in them, such as files and actions of AWS, are none of the package."""
    text = "`jobs.store`, `jobs.nothing`, `engines.openai`, `jobs.store.nothing`, `template.yaml`"

    assert missing_modules(text) == ["jobs.nothing", "jobs.store.nothing"]
