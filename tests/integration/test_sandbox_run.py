"""`python -m sandbox` as people use it: a process that says what it offers, does it, and ends without a trace."""

import random
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from PIL import Image

from sandbox.__main__ import STARTING, Photo, main, make_image
from sandbox.client import GatewayClient
from sandbox.errors import SandboxError
from tests.integration.sandbox_process import MAX_WAIT_SECONDS, Running, environment, spawn, start

pytestmark = pytest.mark.xdist_group("sandbox")


def descendants(pid: int) -> set[int]:
    """The processes that a process has started, and those that they have, as Linux knows them."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            continue
    found: set[int] = set()
    while more := {child for child, parent in parents.items() if parent in found | {pid}} - found:
        found |= more
    return found


def running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@pytest.fixture
def spawned() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a sandbox's process; what still runs after the test is ended."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **variables: str) -> subprocess.Popen[str]:
        processes.append(spawn(*arguments, **variables))
        return processes[-1]

    yield start
    for process in processes:
        process.terminate()
        process.communicate(timeout=MAX_WAIT_SECONDS)


Spawn = Callable[..., subprocess.Popen[str]]


@dataclass(frozen=True)
class Logging:
    """A sandbox, and what had been logged when it was ready."""

    sandbox: Running
    logged: str


@pytest.fixture(scope="module")
def logging_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logging]:
    """A sandbox on a free port, with tokens that a shell would trip over; most tests share it."""
    path = tmp_path_factory.mktemp("sandbox") / "log"
    with path.open("wb") as log:
        process = start(log, "run", ADMIN_TOKEN="the'admin$(id)", USER_TOKEN='the"user`id`\\', PORT="0")
    yield Logging(Running(process), path.read_text())
    process.terminate()
    process.communicate(timeout=MAX_WAIT_SECONDS)


@pytest.fixture(scope="module")
def sandbox(logging_sandbox: Logging) -> Running:
    return logging_sandbox.sandbox


@pytest.fixture
def client(sandbox: Running) -> GatewayClient:
    """A client of the shared sandbox, as the demo is one of its own."""
    return GatewayClient(sandbox.said("gateway"), sandbox.said("admin token"), sandbox.said("user token"))


def command_line(monkeypatch: pytest.MonkeyPatch, *arguments: str, **variables: str) -> None:
    """Run `python -m sandbox` in this process, for what ends before anything is started."""
    monkeypatch.setattr("sys.argv", ["sandbox", *arguments])
    for name, value in environment(**variables).items():
        monkeypatch.setenv(name, value)
    main()


def test_people_are_spoken_to_first(logging_sandbox: Logging) -> None:
    """The first line says what it does, and nothing is logged before it is ready."""
    assert logging_sandbox.sandbox.lines[0].startswith("Starting the gateway")
    assert logging_sandbox.logged == ""


def test_it_says_what_there_is(sandbox: Running) -> None:
    """It prints its URL, the tokens, the documentation, a command to try, the engines, and `ready` at last."""
    url = sandbox.said("gateway")

    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
    assert sandbox.said("docs") == f"{url}/docs"
    assert shlex.split(sandbox.said("try it"))[:2] == ["curl", f"{url}/api/v1/images/generations"]
    assert [line for line in sandbox.lines if line.startswith("engine") and "not a model" in line]
    assert sandbox.lines[-1] == "ready"


def test_tokens_are_as_asked_for(sandbox: Running) -> None:
    """Tokens given by the environment are the gateway's, each with its role, whatever characters they have."""
    assert (sandbox.said("admin token"), sandbox.said("user token")) == ("the'admin$(id)", 'the"user`id`\\')
    assert sandbox.request("GET", "/api/v1/images/config", "admin").status_code == 200
    assert sandbox.request("GET", "/api/v1/images/config", "user").status_code == 403


def test_the_documentation_is_there(sandbox: Running) -> None:
    """The page that is printed opens."""
    assert "swagger-ui" in httpx.get(sandbox.said("docs"), timeout=MAX_WAIT_SECONDS, trust_env=False).text


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl here")
def test_the_command_to_try_works(sandbox: Running) -> None:
    """The printed command, given to a shell, makes an image, whose presigned URL can be fetched."""
    command = sandbox.said("try it").replace("curl ", "curl --silent --noproxy '*' ", 1)

    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)  # noqa: S602 - what we print

    (url,) = re.findall(r'"url":"([^"]+)"', done.stdout)
    assert httpx.get(url, trust_env=False).content.startswith(b"\x89PNG")


def test_an_update_is_seen_at_once(sandbox: Running) -> None:
    """What the config function stores, the generate function goes by in the very next request."""
    prompt = {"prompt": "a red fox"}
    update = "/api/v1/images/config/update"

    sandbox.request("POST", update, "admin", json={"ENABLE_IMAGE_GENERATION": False}).raise_for_status()
    off = sandbox.request("POST", "/api/v1/images/generations", json=prompt)
    sandbox.request("POST", update, "admin", json={"ENABLE_IMAGE_GENERATION": True}).raise_for_status()
    on = sandbox.request("POST", "/api/v1/images/generations", json=prompt)

    assert (off.status_code, on.status_code) == (403, 200)


@pytest.mark.parametrize("engine", ["openai", "gemini"])
def test_a_wrong_key_can_be_tried(sandbox: Running, engine: str) -> None:
    """The engines that have a key say it, take it, and refuse any other as the real ones do: `verify` tells."""
    (line,) = [line for line in sandbox.lines if re.match(rf"engine +{engine} ", line)]
    url, key = re.findall(r" (http://\S+) \(key ([^;]+);", line)[0]
    base = f"{url}/v1" if engine == "openai" else f"{url}/v1beta"
    verify = "/api/v1/images/verify"

    right = sandbox.request("POST", verify, "admin", json={"engine": engine, "url": base, "key": key})
    wrong = sandbox.request("POST", verify, "admin", json={"engine": engine, "url": base, "key": "another-key"})

    assert (right.status_code, right.json()) == (200, True)
    assert (wrong.status_code, wrong.json()["code"]) == (400, "engine_rejected")
    assert "API key" in wrong.json()["detail"]
    assert "another-key" not in wrong.text


def test_a_port_in_use(sandbox: Running, spawned: Spawn) -> None:
    """A port that another program has is named, with what to do, and no traceback. The variable PORT is the port."""
    port = sandbox.said("gateway").rpartition(":")[2]

    process = spawned("run", PORT=port)
    out, err = process.communicate(timeout=MAX_WAIT_SECONDS)

    assert process.returncode == 1
    assert err == f"Port {port} cannot be used (Address already in use): choose another one, PORT=8123\n"
    assert out == f"{STARTING}\n"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"ADMIN_TOKEN": "two words"}, "ADMIN_TOKEN must be 1 to 256 printable ASCII characters without spaces"),
        ({"USER_TOKEN": "x" * 257}, "USER_TOKEN must be 1 to 256 printable ASCII characters without spaces"),
        ({"ADMIN_TOKEN": "same", "USER_TOKEN": "same"}, "ADMIN_TOKEN and USER_TOKEN must differ"),
    ],
)
def test_tokens_that_cannot_be(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variables: dict[str, str], words: str
) -> None:
    """A token that no header can hold, or that is both roles' at once, is refused in words before anything starts."""
    with pytest.raises(SystemExit) as ended:
        command_line(monkeypatch, "run", "--port", "0", **variables)

    assert ended.value.code == words
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(spawned: Spawn, number: int) -> None:
    """Ctrl-C and SIGTERM end it with status 0, and every process that it has started; its tokens were new ones."""
    sandbox = Running(spawned("run", "--port", "0"))
    tokens = {sandbox.said("admin token"), sandbox.said("user token")}
    assert [token.startswith("igw_") for token in tokens] == [True, True]
    started = descendants(sandbox.process.pid)
    assert started

    assert sandbox.end(number) == 0

    assert not [pid for pid in started if running(pid)]


def test_a_signal_ends_its_start(spawned: Spawn) -> None:
    """A signal before it is ready ends it as well, with all that was started by then."""
    process = spawned("run", "--port", "0")
    eventually(lambda: bool(descendants(process.pid)))
    started = descendants(process.pid)

    process.terminate()

    out, err = process.communicate(timeout=MAX_WAIT_SECONDS)
    assert (process.returncode, out) == (0, f"{STARTING}\n")
    assert "Traceback" not in err
    assert not [pid for pid in started if running(pid)]


def test_nothing_outlives_its_death(spawned: Spawn) -> None:
    """When it is killed, the functions' processes end by themselves."""
    sandbox = Running(spawned("run", "--port", "0"))
    started = descendants(sandbox.process.pid)

    sandbox.end(signal.SIGKILL)

    eventually(lambda: not any(running(pid) for pid in started))


def test_a_demonstration(spawned: Spawn, tmp_path: Path) -> None:
    """The demo writes a PNG of the size asked for, says where it was stored, and ends."""
    out = tmp_path / "image.png"

    process = spawned("demo", "--size", "640x384", "--prompt", 'it\'s a "fox"', "--out", str(out))
    said, err = process.communicate(timeout=MAX_WAIT_SECONDS)

    assert process.returncode == 0, err
    with Image.open(out) as image:
        assert (image.format, image.size) == ("PNG", (640, 384))
    assert f"wrote {out} (640x384, image/png) from\nhttp://127.0.0.1:" in said
    assert "X-Amz-Signature=" in said


@pytest.mark.parametrize(("side", "way"), [(64, "/images/edit"), (1300, "too large for the API")])
@pytest.mark.anyio
async def test_a_demonstration_of_an_edit(
    client: GatewayClient, capsys: pytest.CaptureFixture[str], tmp_path: Path, side: int, way: str
) -> None:
    """The demo edits a photo, which it sends in the request or, where that is too small for it, uploads."""
    photo, out = tmp_path / "photo.png", tmp_path / "image.png"
    Image.frombytes("RGB", (side, side), random.Random(1).randbytes(side * side * 3)).save(photo)

    await make_image(client, "a hat", out, engine="openai", size="1024x1024", photo=await Photo.read(photo))

    assert way in capsys.readouterr().out
    with Image.open(out) as image:
        assert image.size == (1024, 1024)


def test_a_photo_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A photo that cannot be read is named, with the reason, before anything starts."""
    with pytest.raises(SystemExit) as ended:
        command_line(monkeypatch, "demo", "--edit", str(tmp_path / "none.jpg"))

    assert ended.value.code == f"{tmp_path}/none.jpg cannot be read: No such file or directory"
    assert capsys.readouterr().out == ""


@pytest.mark.anyio
async def test_a_demonstration_that_fails(client: GatewayClient, tmp_path: Path) -> None:
    """A size that is none is refused with the gateway's words; nothing is written."""
    with pytest.raises(SandboxError, match=r"^The gateway responded with 400: \{.*invalid_size"):
        await make_image(client, "a fox", tmp_path / "image.png", engine="openai", size="big", photo=None)

    assert not (tmp_path / "image.png").exists()


def test_a_demonstration_can_be_interrupted(spawned: Spawn, tmp_path: Path) -> None:
    """SIGTERM ends the demo with a status that is not 0, and every process that it has started."""
    process = spawned("demo", "--out", str(tmp_path / "image.png"))
    eventually(lambda: bool(descendants(process.pid)))
    started = descendants(process.pid)

    process.terminate()

    _said, err = process.communicate(timeout=MAX_WAIT_SECONDS)
    assert (process.returncode, err) == (1, "interrupted\n")
    assert not [pid for pid in started if running(pid)]
