"""Sets the stage: the built artifact and what it is measured against, laid out as on Lambda, and what they talk to.

Every measured process runs under Lambda's Python with `-I -S -B`: it sees the standard library and the folders that
Lambda would show it, and can keep no bytecode, as on Lambda, where all of these are read-only.
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
WAIT_SECONDS: Final = 1_200.0
GENERATIONS: Final = "/api/v1/images/generations"


@dataclass(frozen=True)
class Subject:
    """A handler to be measured: where Python looks for it and for what it needs, and its name."""

    path: tuple[Path, ...]
    handler: str


class Stage:
    """The parts of a benchmark.

    Args:
        python: Lambda's Python.
        built: holds `build`, what SAM built for this machine, `runtime`, what stands for Lambda's own packages, and
            `packages`, what the usual handler needs.
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
        """Lambda's Python, as a number."""
        command = (self._python, "-c", "import platform; print(platform.python_version())")
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    @property
    def worker_concurrency(self) -> int:
        """How many workers run at most."""
        return next(item.concurrency for item in self._template.queue_mappings() if item.function == "WorkerFunction")

    def gateway(self, function: str) -> Subject:
        """A function of the template as it was built."""
        layers = [*self._template.document["Globals"]["Function"]["Layers"]]
        layers += self._template.properties(function).get("Layers", [])
        path = [self._built / "build" / function]
        path += [self._built / "build" / layer["Ref"] / "python" for layer in layers]
        return Subject((*path, self._built / "runtime"), self.functions[function].handler)

    def usual(self, *, bytecode: bool = True, runtime_bytecode: bool = True) -> Subject:
        """The usual handler, with the packages of the gateway's layer, with or without bytecode."""
        layer = "packages" if bytecode else "packages-without-bytecode"
        runtime = "runtime" if runtime_bytecode else "runtime-without-bytecode"
        code = "usual" if bytecode else "usual-without-bytecode"
        return Subject((self._built / code, self._built / layer, self._built / runtime), "app.handler")

    def bare(self) -> Subject:
        """A handler that needs nothing."""
        return Subject((HERE / "bare",), "app.handler")

    def lay_out(self) -> None:
        """Put the usual handler's folders beside the build; compile what has bytecode."""
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
        """Run what the handlers talk to: AWS with a configuration and tokens, and an engine; over TLS."""
        certificates = self._built / "certificates"
        certificates.mkdir(exist_ok=True)
        authority = trustme.CA()
        server = authority.issue_cert("127.0.0.1")
        server.private_key_and_cert_chain_pem.write_to_path(str(certificates / "server.pem"))
        # As long as the real list, which a client must read.
        known = self._built / "packages/certifi/cacert.pem"
        trusted = certificates / "trusted.pem"
        trusted.write_bytes(known.read_bytes() + b"\n" + authority.cert_pem.bytes())
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
            self._fill()
            yield

    def _fill(self) -> None:
        """Store a configuration and a token of each role, through the interface of AWS."""
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
        """How many images the stand-in for S3 was given, and how many bytes."""
        return dict(self._ask("GET", "/stored"))

    def _call(self, target: str, call: Any) -> Any:
        return self._ask("POST", "/", json.dumps(call), {"X-Amz-Target": target})

    def _ask(self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> Any:
        context = ssl.create_default_context(cafile=self._environment["SSL_CERT_FILE"])
        host = self._environment["AWS_ENDPOINT_URL"].removeprefix("https://")
        connection = http.client.HTTPSConnection(host, context=context)
        connection.request(method, path, body, headers or {})
        return json.loads(connection.getresponse().read())

    def measure(self, mode: str, subject: Subject, function: str, **spec: Any) -> Any:
        """Run one measured process.

        Args:
            mode: what it does, a function of `measured.py`.
            subject: which handler.
            function: whose environment variables it gets.
            **spec: what `mode` needs to know.

        Raises:
            subprocess.CalledProcessError: it failed; its own words are on stderr.
        """
        reported = {"mode": mode, "path": [str(path) for path in subject.path], "handler": subject.handler, **spec}
        environment = {
            **self._environment,
            **self.functions[function].environment,
            "AWS_LAMBDA_FUNCTION_NAME": function,
        }
        command = (self._python, "-I", "-S", "-B", str(HERE / "measured.py"))
        started = time.monotonic()
        process = subprocess.Popen(
            (*command, repr(started), json.dumps(reported)),
            env=environment,
            stdout=subprocess.PIPE,
            cwd=subject.path[0],
        )
        out, _ = process.communicate(timeout=WAIT_SECONDS)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        return json.loads(out)


@contextmanager
def _server(name: str, certificate: Path) -> Iterator[int]:
    """Run a stand-in; gives its port."""
    command = (sys.executable, "-m", "tests.benchmarks.stand_ins", name, str(certificate))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()
