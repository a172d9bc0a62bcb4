"""The benchmark's environment: the measured handlers in folders as on Lambda, and the servers that they call.

Every measured process runs under Lambda's Python with `-I -S -B`: it imports from the standard library and the folders
that it would have on Lambda, and writes no bytecode, as on Lambda, where these folders are read-only.
"""

import hashlib
import http.client
import json
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import trustme

from sandbox.template import REGION, ROOT, Function, Template

HERE: Final = Path(__file__).parent
TOKENS: Final = {"user": "igw_benchmark-user", "admin": "igw_benchmark-admin"}
STACK: Final = "benchmark"
MAX_WAIT_SECONDS: Final = 1_200.0
GENERATIONS: Final = "/api/v1/images/generations"


@dataclass(frozen=True)
class Subject:
    """A handler to measure: the folders that it is imported from, with its packages, and its name."""

    path: tuple[Path, ...]
    handler: str


class BenchmarkEnvironment:
    """The handlers to measure, and servers for them.

    Args:
        python: the command of Lambda's Python.
        built: a folder that contains `build`, SAM's build for this computer; `runtime`, the packages of Lambda's
            runtime; and `packages`, the packages that the usual handler needs.
    """

    def __init__(self, python: str, built: Path) -> None:
        self._python = python
        self._built = built.resolve()
        self._template = Template(stack=STACK)
        self.functions: dict[str, Function] = {item.name: item for item in self._template.functions()}
        self._environment: dict[str, str] = {}
        self.engine = ""
        self._aws_port = 0

    @property
    def version(self) -> str:
        """The version of Lambda's Python."""
        command = (self._python, "-c", "import platform; print(platform.python_version())")
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    @property
    def worker_concurrency(self) -> int:
        """The maximum number of workers."""
        return next(item.concurrency for item in self._template.queue_mappings() if item.function == "WorkerFunction")

    def gateway(self, function: str) -> Subject:
        """Return a function of the template as it was built."""
        layers = [*self._template.document["Globals"]["Function"]["Layers"]]
        layers += self._template.properties(function).get("Layers", [])
        path = [self._built / "build" / function]
        path += [self._built / "build" / layer["Ref"] / "python" for layer in layers]
        return Subject((*path, self._built / "runtime"), self.functions[function].handler)

    def usual(self, *, bytecode: bool = True, runtime_bytecode: bool = True) -> Subject:
        """Return the usual handler with the packages of the gateway's layer, with or without bytecode."""
        layer = "packages" if bytecode else "packages-without-bytecode"
        runtime = "runtime" if runtime_bytecode else "runtime-without-bytecode"
        code = "usual" if bytecode else "usual-without-bytecode"
        return Subject((self._built / code, self._built / layer, self._built / runtime), "app.handler")

    def bare(self) -> Subject:
        """Return a handler that needs no packages."""
        return Subject((HERE / "bare",), "app.handler")

    def prepare_folders(self) -> None:
        """Copy the usual handler's folders beside the build, with and without bytecode."""
        self._copy(HERE / "usual", "usual")
        for name in ("usual", "packages", "runtime"):
            self._compile(self._built / name)
            self._copy(self._built / name, f"{name}-without-bytecode", "__pycache__")

    def _copy(self, source: Path, name: str, *without: str) -> None:
        target = self._built / name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(*without))

    def _compile(self, folder: Path) -> None:
        command = (self._python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(folder))
        subprocess.run(command, check=True)

    @contextmanager
    def servers(self) -> Iterator[None]:
        """Run the servers that the handlers call over TLS: AWS with a configuration and tokens, and an engine."""
        certificates = self._built / "certificates"
        certificates.mkdir(exist_ok=True)
        authority = trustme.CA()
        server = authority.issue_cert("127.0.0.1")
        server.private_key_and_cert_chain_pem.write_to_path(str(certificates / "server.pem"))
        # Includes the real list, because clients spend time on reading it.
        real_list = self._built / "packages/certifi/cacert.pem"
        trusted = certificates / "trusted.pem"
        trusted.write_bytes(real_list.read_bytes() + b"\n" + authority.cert_pem.bytes())
        with ExitStack() as stack:
            ports = [stack.enter_context(_server(name, certificates / "server.pem")) for name in ("aws", "engine")]
            aws, self.engine = (f"https://127.0.0.1:{port}" for port in ports)
            self._environment = {
                "AWS_ENDPOINT_URL": aws,
                "AWS_REGION": REGION,
                "AWS_DEFAULT_REGION": REGION,
                "AWS_ACCESS_KEY_ID": "ASIABENCHMARK0000000",
                "AWS_SECRET_ACCESS_KEY": "benchmark",
                "AWS_SESSION_TOKEN": "benchmark" * 60,
                "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_CA_BUNDLE": str(trusted),
                "SSL_CERT_FILE": str(trusted),
                "LANG": "en_US.UTF-8",
                "PATH": "/usr/bin:/bin",
                "TZ": ":UTC",
            }
            self._store_tokens_and_configuration()
            yield

    def _store_tokens_and_configuration(self) -> None:
        """Store a configuration, and a token for each role, through AWS's API."""
        environment = self.functions["GenerateFunction"].environment
        config = {
            "ENABLE_IMAGE_GENERATION": True,
            "ENABLE_IMAGE_EDIT": True,
            "IMAGE_ENGINE_TIMEOUT": 20,
            "IMAGE_GENERATION_ENGINE": "openai",
            "IMAGE_GENERATION_MODEL": "1mb-0s",
            "IMAGE_SIZE": "",
            "IMAGES_OPENAI_API_BASE_URL": f"{self.engine}/v1",
            "IMAGES_OPENAI_API_KEY": "benchmark-key",
        }
        name = environment["CONFIG_PARAMETER"]
        self._call("AmazonSSM.PutParameter", {"Name": name, "Value": json.dumps(config), "Type": "SecureString"})
        for role, token in TOKENS.items():
            item = {
                "pk": {"S": f"token#{hashlib.sha256(token.encode()).hexdigest()}"},
                "token_id": {"S": f"benchmark-{role}"},
                "name": {"S": role},
                "role": {"S": role},
            }
            self._call("DynamoDB_20120810.PutItem", {"TableName": environment["TABLE"], "Item": item})

    def stored(self) -> dict[str, int]:
        """Return the number of images that the fake S3 has received, and of their bytes."""
        return dict(self._request("GET", "/stored"))

    def _call(self, target: str, parameters: Any) -> Any:
        return self._request("POST", "/", json.dumps(parameters), {"X-Amz-Target": target})

    def _request(self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> Any:
        context = ssl.create_default_context(cafile=self._environment["SSL_CERT_FILE"])
        host = self._environment["AWS_ENDPOINT_URL"].removeprefix("https://")
        connection = http.client.HTTPSConnection(host, context=context)
        connection.request(method, path, body, headers or {})
        return json.loads(connection.getresponse().read())

    def measure(self, mode: str, subject: Subject, function: str, **spec: Any) -> Any:
        """Run one measured process.

        Args:
            mode: what to measure, a function of `measured_process.py`.
            subject: the handler.
            function: the function whose environment variables the process gets.
            **spec: arguments of `mode`.

        Returns:
            The figures that `mode` returned.

        Raises:
            subprocess.CalledProcessError: the process failed; its error is on stderr.
        """
        full_spec = {"mode": mode, "path": [str(path) for path in subject.path], "handler": subject.handler, **spec}
        environment = {
            **self._environment,
            **self.functions[function].environment,
            "AWS_LAMBDA_FUNCTION_NAME": function,
        }
        command = (self._python, "-I", "-S", "-B", str(HERE / "measured_process.py"))
        started = time.monotonic()
        process = subprocess.Popen(
            (*command, repr(started), json.dumps(full_spec)),
            env=environment,
            stdout=subprocess.PIPE,
            cwd=subject.path[0],
        )
        out, _ = process.communicate(timeout=MAX_WAIT_SECONDS)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        return json.loads(out)


@contextmanager
def _server(name: str, certificate: Path) -> Iterator[int]:
    """Run a fake server and yield its port."""
    command = (sys.executable, "-m", "tests.benchmarks.fake_servers", name, str(certificate))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()
