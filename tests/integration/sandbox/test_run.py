"""`python -m sandbox run` as a process: it prints what it offers, serves it, and ends without leftovers."""

import re
import shlex
import shutil
import signal
import subprocess

import httpx
import pytest

from sandbox.__main__ import STARTING
from tests.integration.sandbox.processes import Logging, Spawn, command_line, descendants, eventually, running
from tests.integration.sandbox_process import MAX_WAIT_SECONDS, SandboxProcess

pytestmark = pytest.mark.xdist_group("sandbox")


def test_people_are_spoken_to_first(logging_sandbox: Logging) -> None:
    """The first line says what it does, and nothing is logged before it is ready."""
    assert logging_sandbox.sandbox.lines[0].startswith("Starting the gateway")
    assert logging_sandbox.logged == ""


def test_it_says_what_there_is(sandbox: SandboxProcess) -> None:
    """It prints its URL, the tokens, the documentation, a command to try, the engines, and `ready` at last."""
    url = sandbox.printed("gateway")

    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
    assert sandbox.printed("docs") == f"{url}/docs"
    assert shlex.split(sandbox.printed("try it"))[:2] == ["curl", f"{url}/api/v1/images/generations"]
    assert [line for line in sandbox.lines if line.startswith("engine") and "not a model" in line]
    assert sandbox.lines[-1] == "ready"


def test_tokens_are_as_asked_for(sandbox: SandboxProcess) -> None:
    """Tokens given by the environment are the gateway's, each with its role, whatever characters they have."""
    assert (sandbox.printed("admin token"), sandbox.printed("user token")) == ("the'admin$(id)", 'the"user`id`\\')
    assert sandbox.request("GET", "/api/v1/images/config", "admin").status_code == 200
    assert sandbox.request("GET", "/api/v1/images/config", "user").status_code == 403


def test_the_documentation_is_there(sandbox: SandboxProcess) -> None:
    """The page that is printed opens."""
    assert "swagger-ui" in httpx.get(sandbox.printed("docs"), timeout=MAX_WAIT_SECONDS, trust_env=False).text


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl here")
def test_the_command_to_try_works(sandbox: SandboxProcess) -> None:
    """The printed command, given to a shell, makes an image, whose presigned URL can be fetched."""
    command = sandbox.printed("try it").replace("curl ", "curl --silent --noproxy '*' ", 1)

    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)  # noqa: S602 - what we print

    (url,) = re.findall(r'"url":"([^"]+)"', done.stdout)
    assert httpx.get(url, trust_env=False).content.startswith(b"\x89PNG")


def test_an_update_is_seen_at_once(sandbox: SandboxProcess) -> None:
    """What the config function stores, the generate function goes by in the very next request."""
    prompt = {"prompt": "a red fox"}
    update = "/api/v1/images/config/update"

    sandbox.request("POST", update, "admin", json={"ENABLE_IMAGE_GENERATION": False}).raise_for_status()
    off = sandbox.request("POST", "/api/v1/images/generations", json=prompt)
    sandbox.request("POST", update, "admin", json={"ENABLE_IMAGE_GENERATION": True}).raise_for_status()
    on = sandbox.request("POST", "/api/v1/images/generations", json=prompt)

    assert (off.status_code, on.status_code) == (403, 200)


@pytest.mark.parametrize("engine", ["openai", "gemini"])
def test_a_wrong_key_can_be_tried(sandbox: SandboxProcess, engine: str) -> None:
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


def test_a_port_in_use(sandbox: SandboxProcess, spawned: Spawn) -> None:
    """A port that another program has is named, with what to do, and no traceback. The variable PORT is the port."""
    port = sandbox.printed("gateway").rpartition(":")[2]

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
    sandbox = SandboxProcess(spawned("run", "--port", "0"))
    tokens = {sandbox.printed("admin token"), sandbox.printed("user token")}
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
    sandbox = SandboxProcess(spawned("run", "--port", "0"))
    started = descendants(sandbox.process.pid)

    sandbox.end(signal.SIGKILL)

    eventually(lambda: not any(running(pid) for pid in started))
