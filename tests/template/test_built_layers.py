"""The output of `make build` has what the functions need and nothing else, compiled and for the right processor."""

import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.template.build_artifact import FUNCTIONS, LAYERS, MACHINE, TEMPLATE, Artifact, run

pytestmark = [pytest.mark.xdist_group("build"), pytest.mark.timeout(300)]

ELF_MACHINES = {"x86_64": 0x3E, "arm64": 0xB7}


@pytest.mark.parametrize("module", ["moto", "sandbox", "PIL", "pytest", "functions.generate"])
def test_the_config_function_cannot_import(artifact: Artifact, module: str) -> None:
    """The built config function can import neither development packages nor another function."""
    command = artifact.command("ConfigFunction", f"import functions.config.app\nimport {module}")

    done = run(*command, cwd=artifact.folder)

    assert f"ModuleNotFoundError: No module named '{module}'" in done.stderr


@pytest.mark.parametrize("function", FUNCTIONS)
def test_only_functions_with_the_imaging_layer_can_import_pillow(artifact: Artifact, function: str) -> None:
    """A function with the imaging layer can import Pillow and HEIC support, and starts without them."""
    module = next(item.handler for item in TEMPLATE.functions() if item.name == function).rpartition(".")[0]
    code = f"import {module}\nassert 'PIL' not in sys.modules\nimport PIL.Image, pi_heif"

    done = run(*artifact.command(function, code), cwd=artifact.folder)

    has_layer = {"Ref": "ImagingLayer"} in TEMPLATE.properties(function).get("Layers", [])
    assert (done.returncode == 0) is has_layer, done.stderr
    assert has_layer or "No module named 'PIL'" in done.stderr


def test_the_layer_has_the_package(artifact: Artifact) -> None:
    """The shared layer has the package, with its OpenAPI document, where Lambda searches for modules."""
    assert (artifact.layer / "python/image_gateway/openapi.json").is_file()


@pytest.mark.parametrize("package", ["boto3", "botocore", "PIL", "moto", "sandbox", "functions"])
def test_the_layer_leaves_out(artifact: Artifact, package: str) -> None:
    """The shared layer has neither packages of Lambda's runtime nor packages that only the sandbox needs."""
    assert not list((artifact.layer / "python").glob(f"{package}*"))


def test_a_function_has_only_its_own_folder(artifact: Artifact) -> None:
    """A built function has the modules of its own folder, under the package that they are imported from."""
    for function in FUNCTIONS:
        packages = {
            path.relative_to(artifact.folder / function).parent for path in artifact.folder.glob(f"{function}/**/*.py")
        }
        assert packages == {Path(TEMPLATE.properties(function)["CodeUri"])}


def test_the_layer_is_small(artifact: Artifact, tmp_path: Path) -> None:
    """The zipped layer has at most 8 MB, bytecode included, because it is loaded at every cold start."""
    zipped = Path(shutil.make_archive(str(tmp_path / "layer"), "zip", artifact.layer))

    assert zipped.stat().st_size <= 8 * 2**20
    assert zipfile.is_zipfile(zipped)


def test_every_module_is_compiled(artifact: Artifact) -> None:
    """Each module has bytecode that is valid whatever the time of its source, because Lambda cannot write any."""
    tag = f"cpython-{artifact.version.replace('.', '')}"
    for source in artifact.folder.rglob("*.py"):
        (compiled,) = source.parent.glob(f"__pycache__/{source.stem}.{tag}.pyc")
        unchecked_hash = 0b01
        assert int.from_bytes(compiled.read_bytes()[4:8], "little") == unchecked_hash, source


def libraries(layer: Path) -> Iterator[tuple[str, int]]:
    """The names of a layer's compiled libraries, each with the ELF machine that it is for."""
    for path in [*layer.rglob("*.so"), *layer.rglob("*.so.*")]:
        yield path.name, int.from_bytes(path.read_bytes()[18:20], "little")


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_is_for_the_requested_architecture(artifact: Artifact, layer: str) -> None:
    """The compiled libraries of a layer are for the requested architecture."""
    found = dict(libraries(artifact.folder / layer))

    assert found
    assert set(found.values()) == {ELF_MACHINES[MACHINE]}


@pytest.mark.parametrize("layer", LAYERS)
def test_the_default_build_is_for_arm64(arm64_build: Path, layer: str) -> None:
    """The build for arm64 has libraries for Lambda's Python on arm64, whatever machine builds it."""
    found = dict(libraries(arm64_build / layer))

    assert found
    assert set(found.values()) == {ELF_MACHINES["arm64"]}
    assert all("cpython-313-aarch64" in name for name in found if "cpython" in name)
