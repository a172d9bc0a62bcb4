"""`python -m sandbox run` as a process: it prints what it offers, serves it, and ends without leftovers."""

import re
import shlex
import shutil
import signal
import subprocess

import pytest

from sandbox.__main__ import STARTING
from tests import web
from tests.integration.sandbox.processes import LoggedSandbox, StartProcess, command_line, descendants, is_running
from tests.integration.sandbox_process import MAX_WAIT_SECONDS, SandboxProcess
from tests.polling import wait_until

pytestmark = pytest.mark.xdist_group("sandbox")


def test_the_first_line_says_what_it_does(logged_sandbox: LoggedSandbox) -> None:
    """Nothing is logged before the sandbox is ready."""
    assert logged_sandbox.sandbox.lines[0].startswith("Starting the gateway")
    assert logged_sandbox.log_when_ready == ""


def test_it_prints_urls_tokens_a_command_and_ready(sandbox: SandboxProcess) -> None:
    """`ready` is the last line."""
    url = sandbox.printed("gateway")

    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
    assert sandbox.printed("docs") == f"{url}/docs"
    assert shlex.split(sandbox.printed("try it"))[:2] == ["curl", f"{url}/api/v1/images/generations"]
    assert [line for line in sandbox.lines if line.startswith("engine") and "not a model" in line]
    assert sandbox.lines[-1] == "ready"


def test_tokens_of_the_environment_are_used(sandbox: SandboxProcess) -> None:
    """Each has its role, whatever characters it contains."""
    assert (sandbox.printed("admin token"), sandbox.printed("user token")) == ("the'admin$(id)", 'the"user`id`\\')
    assert sandbox.request("GET", "/api/v1/images/config", "admin").status_code == 200
    assert sandbox.request("GET", "/api/v1/images/config", "user").status_code == 403


def test_the_printed_documentation_url_works(sandbox: SandboxProcess) -> None:
    """It returns the documentation page."""
    assert "swagger-ui" in web.get(sandbox.printed("docs"), timeout=MAX_WAIT_SECONDS, trust_env=False).text


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_the_printed_command_works(sandbox: SandboxProcess) -> None:
    """Run in a shell, it makes an image whose presigned URL can be fetched."""
    command = sandbox.printed("try it").replace("curl ", "curl --silent --noproxy '*' ", 1)

    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)  # noqa: S602 - the sandbox's own command

    (url,) = re.findall(r'"url":"([^"]+)"', done.stdout)
    assert web.get(url, trust_env=False).content.startswith(b"\x89PNG")


def test_a_configuration_update_applies_to_the_next_request(sandbox: SandboxProcess) -> None:
    """The generate function reads what the config function stored."""
    prompt = {"prompt": "a red fox"}
    update = "/api/v1/images/config/update"

    sandbox.request("POST", update, "admin", json={"ENABLE_IMAGE_GENERATION": False}).raise_for_status()
    off = sandbox.request("POST", "/api/v1/images/generations", json=prompt)
    sandbox.request("POST", update, "admin", json={"ENABLE_IMAGE_GENERATION": True}).raise_for_status()
    on = sandbox.request("POST", "/api/v1/images/generations", json=prompt)

    assert (off.status_code, on.status_code) == (403, 200)


@pytest.mark.parametrize("engine", ["openai", "gemini"])
def test_engines_accept_their_printed_key_and_reject_others(sandbox: SandboxProcess, engine: str) -> None:
    """Only engines that have a key print one; `verify` returns the engine's response."""
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


def test_a_port_in_use_is_an_error_that_says_what_to_do(sandbox: SandboxProcess, start_process: StartProcess) -> None:
    """The port is that of the variable PORT; there is no traceback."""
    port = sandbox.printed("gateway").rpartition(":")[2]

    process = start_process("run", PORT=port)
    out, err = process.communicate(timeout=MAX_WAIT_SECONDS)

    assert process.returncode == 1
    assert err == f"Port {port} cannot be used (Address already in use): choose another one, PORT=8123\n"
    assert out == f"{STARTING}\n"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"ADMIN_TOKEN": "two words"}, "ADMIN_TOKEN must be 1 to 256 printable ASCII characters without spaces"),
        ({"USER_TOKEN": "x" * 257}, "USER_TOKEN must be 1 to 256 printable ASCII characters without spaces"),
        ({"ADMIN_TOKEN": "same", "USER_TOKEN": "same"}, "ADMIN_TOKEN and USER_TOKEN must differ"),
    ],
)
def test_invalid_tokens_are_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variables: dict[str, str], message: str
) -> None:
    """A token must fit into a header, and the two tokens must differ."""
    with pytest.raises(SystemExit) as ended:
        command_line(monkeypatch, "run", "--port", "0", **variables)

    assert ended.value.code == message
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["FetchAllowedHosts=fd00::1"], r"FetchAllowedHosts must be hosts, separated by commas: .*\[fd00::1\]:8080"),
        (["FetchAllowedHost=a"], "The template has no parameter FetchAllowedHost"),
        (["UrlExpirySeconds=1", "GenerateConcurrency=00"], "UrlExpirySeconds must not be less than 60\nGenerateConc.*"),
        (["VpcSubnetIds=subnet-0aaa"], "VpcSubnetIds requires VpcSecurityGroupIds."),
        (["FetchAllowedHosts"], "'FetchAllowedHosts' is no template parameter: give it as Name=value"),
    ],
)
def test_invalid_template_parameters_are_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """As CloudFormation refuses them, with the parameter's name and what it must be."""
    with pytest.raises(SystemExit) as ended:
        command_line(monkeypatch, "run", "--port", "0", *arguments)

    assert re.match(message, str(ended.value.code))
    assert capsys.readouterr().out == ""


def test_template_parameters_are_used(sandbox: SandboxProcess) -> None:
    """The functions have their values, and what has no effect in the sandbox is said."""
    (image,) = sandbox.request("POST", "/api/v1/images/generations", json={"prompt": "a red fox"}).json()

    assert "X-Amz-Expires=120" in image["url"]
    assert "parameter    UrlExpirySeconds=120" in sandbox.lines
    assert "parameter    ApiRateLimit=5 (no effect in the sandbox)" in sandbox.lines


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_sandbox_and_all_its_processes(start_process: StartProcess, number: int) -> None:
    """SIGINT and SIGTERM end it with status 0; without the variables, its tokens are new."""
    sandbox = SandboxProcess(start_process("run", "--port", "0"))
    tokens = {sandbox.printed("admin token"), sandbox.printed("user token")}
    assert [token.startswith("igw_") for token in tokens] == [True, True]
    started = descendants(sandbox.process.pid)
    assert started

    assert sandbox.stop(number) == 0

    assert not [pid for pid in started if is_running(pid)]


def test_a_signal_ends_a_sandbox_that_is_starting(start_process: StartProcess) -> None:
    """All processes that were started by then end as well."""
    process = start_process("run", "--port", "0")
    wait_until(lambda: bool(descendants(process.pid)))
    started = descendants(process.pid)

    process.terminate()

    out, err = process.communicate(timeout=MAX_WAIT_SECONDS)
    assert (process.returncode, out) == (0, f"{STARTING}\n")
    assert "Traceback" not in err
    assert not [pid for pid in started if is_running(pid)]


def test_the_functions_processes_end_when_the_sandbox_is_killed(start_process: StartProcess) -> None:
    """They end by themselves."""
    sandbox = SandboxProcess(start_process("run", "--port", "0"))
    started = descendants(sandbox.process.pid)

    sandbox.stop(signal.SIGKILL)

    wait_until(lambda: not any(is_running(pid) for pid in started))
