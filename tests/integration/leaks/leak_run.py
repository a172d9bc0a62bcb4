"""A run of the whole sandbox with planted secrets and prompts, by every channel and engine, and its output."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sandbox.client import ENGINES
from sandbox.engines.state import Fault, Knobs
from sandbox.gateway import Sandbox
from tests.aws_clients import aws_client
from tests.integration.leaks.planted_values import (
    ADMIN_TOKEN,
    API,
    AUTH,
    BASIC,
    GARBAGE_TOKEN,
    KEYS,
    MAX_WAIT_SECONDS,
    PASSWORD,
    PRESIGNED,
    PROMPT,
    QUERY_TOKEN,
    SECRETS,
    USER_TOKEN,
    USERNAME,
    WRONG_KEY,
)
from tests.integration.sample_images import encoded, text


@dataclass
class RunOutput:
    """The output of a run, as texts.

    Attributes:
        log: standard output and standard error of every function.
        to_owner: responses to the owner of the request, by name of the request.
        to_others: responses to anyone else about it.
        events: the events on the bus.
        dead_letters: dead letters as they are stored.
        table: the items of the table.
        objects: bodies of the bucket's objects, by key; images' bytes as characters.
        metadata: the objects' metadata and headers, by key.
        parameter: the configuration as it is stored.
        created_token: the secret of a token that an administrator creates, which one response shows.
        requested: the requests to the engines.
    """

    log: str = ""
    to_owner: dict[str, str] = field(default_factory=dict)
    to_others: dict[str, str] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    dead_letters: list[dict[str, Any]] = field(default_factory=list)
    table: list[dict[str, Any]] = field(default_factory=list)
    objects: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    parameter: str = ""
    created_token: str = ""
    requested: str = ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """All values that must not be in the output."""
        return (*SECRETS, self.created_token)


async def run_and_collect(log: Path) -> RunOutput:
    """Run everything and collect the output."""
    output = RunOutput()
    with log.open("wb") as file:
        async with Sandbox(log=file, admin_token=ADMIN_TOKEN, user_token=USER_TOKEN) as sandbox:
            run = _Run(sandbox, output)
            await run.configure()
            await run.store_connections()
            for engine in ENGINES:
                await run.engine(engine)
            await run.send_refused_requests()
            await run.send_by_events()
            await run.collect()
    output.log = log.read_text()
    return output


class _Run:
    def __init__(self, sandbox: Sandbox, output: RunOutput) -> None:
        self._sandbox = sandbox
        self._output = output
        self._prompts = 0

    def _prompt(self, channel: str) -> str:
        self._prompts += 1
        return f"{PROMPT} {self._prompts} {channel}"

    async def _send(
        self, name: str, method: str, path: str, *, to: dict[str, str] | None = None, **options: Any
    ) -> Any:
        response = await self._sandbox.request(method, path, follow_redirects=True, **options)
        reported = self._output.to_owner if to is None else to
        reported[name] = f"{response.status_code} {dict(response.headers)} {response.text}"
        return response

    async def configure(self) -> None:
        """Give each engine its secret, with invalid updates first."""
        update = f"{API}/config/update"
        wrong = {"IMAGES_OPENAI_API_KEY": [WRONG_KEY], "AUTOMATIC1111_API_AUTH": {"password": PASSWORD}}
        await self._send("an invalid configuration", "POST", update, json=wrong)
        for engine in ("openai", "gemini", "comfyui"):
            self._sandbox.engines[engine].knobs = Knobs(key=KEYS[engine])
        self._sandbox.engines["automatic1111"].knobs = Knobs(key=f"{USERNAME}:{PASSWORD}")
        stored = {
            # Most requests are done inline, which takes less time.
            "IMAGE_ENGINE_TIMEOUT": 10,
            "IMAGES_OPENAI_API_KEY": KEYS["openai"],
            "IMAGES_GEMINI_API_KEY": KEYS["gemini"],
            "COMFYUI_API_KEY": KEYS["comfyui"],
            "AUTOMATIC1111_API_AUTH": AUTH,
            "IMAGE_PROMPT_GENERATION_MODEL": "gpt-5.6-mini",
        }
        await self._send("an update", "POST", update, json=stored)
        await self._send("the configuration", "GET", f"{API}/config")
        moved = {"IMAGES_OPENAI_API_BASE_URL": "http://127.0.0.1:9/v1"}
        await self._send("a new URL without its key", "POST", update, json=moved)
        for engine, url in self._sandbox.engine_urls.items():
            base = {"openai": f"{url}/v1", "gemini": f"{url}/v1beta"}.get(engine, url)
            form = {"engine": engine, "url": base, "key": f"wrong:{WRONG_KEY}"}
            await self._send(f"a wrong key of {engine}", "POST", f"{API}/verify", json=form)

    async def store_connections(self) -> None:
        """Store connections with each engine's secret and verify them, with invalid and refused ones among them."""
        connections = f"{API}/connections"
        bases = {"openai": "/v1", "gemini": "/v1beta"}
        for engine, url in self._sandbox.engine_urls.items():
            form = {"engine": engine, "base_url": f"{url}{bases.get(engine, '')}", "key": KEYS.get(engine, AUTH)}
            path = f"{connections}/my-{engine}"
            await self._send(f"a connection of {engine}", "PUT", path, json=form)
            await self._send(f"a connection of {engine}, verified", "POST", f"{path}/verify")
            await self._send(f"a connection of {engine}, its models", "GET", f"{path}/models")
            moved = {**form, "base_url": "http://127.0.0.1:9", "key": None}
            await self._send(f"a connection of {engine}, moved", "PUT", path, json=moved)
            invalid = {**form, "timeout_seconds": 0, "params": {"api_key": WRONG_KEY}}
            await self._send(f"a connection of {engine}, invalid", "PUT", path, json=invalid)
            wrong, path = {**form, "key": f"wrong:{WRONG_KEY}"}, f"{connections}/wrong-{engine}"
            await self._send(f"a wrong connection of {engine}", "PUT", path, json=wrong)
            await self._send(f"a wrong connection of {engine}, verified", "POST", f"{path}/verify")
            await self._send(f"a wrong connection of {engine}, deleted", "DELETE", path)
        await self._send("the connections", "GET", connections)

    async def engine(self, engine: str) -> None:
        """Generate and edit, successfully and with each failure in which the engine's response contains secrets."""
        await self._sandbox.use(engine)
        await self._sandbox.configure(ENABLE_IMAGE_PROMPT_GENERATION=True)
        await self._requests(engine, "success")
        secret = KEYS.get(engine, f"{USERNAME}:{PASSWORD}, Basic {BASIC}")
        error_text = f"Incorrect API key provided: {secret} for {PROMPT}"
        broken = f"<html><body><h1>500</h1> {secret}, while drawing {PROMPT}</body></html>"
        self._sandbox.engines[engine].knobs.faults = [Fault(500, broken, times=-1, path="/chat/completions")]
        await self._requests(engine, "prompts not rewritten")
        await self._sandbox.configure(ENABLE_IMAGE_PROMPT_GENERATION=False)
        for name, fault in {
            "a key refused": Fault(401, {"error": {"message": error_text}}, times=-1),
            "a failure": Fault(500, broken, times=-1),
            "a parameter refused": Fault(
                400, {"error": {"message": error_text, "param": secret, "code": secret}}, times=-1
            ),
            "error text in another field": Fault(
                400, {"reason": error_text, "url": f"/?key={quote(secret)}"}, times=-1
            ),
        }.items():
            self._sandbox.engines[engine].knobs.faults = [fault]
            await self._requests(engine, name)
        self._sandbox.engines[engine].knobs.faults = []

    async def _requests(self, engine: str, name: str) -> None:
        name = f"{engine}, {name}"
        user: dict[str, Any] = {"token": USER_TOKEN}
        generation = {
            "prompt": self._prompt("HTTP"),
            "negative_prompt": self._prompt("not"),
            "size": "64x64",
            "seed": 7,
        }
        edit = {"prompt": self._prompt("edit"), "image": text(encoded())}
        await asyncio.gather(
            self._send(f"generation, {name}", "POST", f"{API}/generations", json=generation, **user),
            self._send(f"edit, {name}", "POST", f"{API}/edit", json=edit, **user),
            self._send(f"models, {name}", "GET", f"{API}/models", **user),
        )

    async def send_refused_requests(self) -> None:
        """Send requests that are refused before an engine is called, and requests for objects of another owner."""
        user: dict[str, Any] = {"token": USER_TOKEN}
        generations = f"{API}/generations"
        linked = {"prompt": self._prompt("link"), "image": PRESIGNED}
        await self._send("a link that is refused", "POST", f"{API}/edit", json=linked, **user)
        bad = {"prompt": [self._prompt("list")], "size": self._prompt("size")}
        await self._send("an invalid form", "POST", generations, json=bad, **user)
        await self._send("no JSON", "POST", generations, content=f"{{{self._prompt('text')}", **user)
        prompt = {"prompt": self._prompt("garbage")}
        others = self._output.to_others
        await self._send("garbage", "POST", generations, to=others, token=GARBAGE_TOKEN, json=prompt)
        path = f"{API}/jobs?access_token={QUERY_TOKEN}&prompt={PROMPT}"
        await self._send("a token in the query", "GET", path, to=others, token=GARBAGE_TOKEN)
        await self._send("an unknown path", "GET", f"/{QUERY_TOKEN}", to=others, token=GARBAGE_TOKEN)
        jobs = (await self._send("own jobs", "GET", f"{API}/jobs?limit=100", **user)).json()
        await self._send("all jobs", "GET", f"{API}/jobs?limit=100", to=others)
        created = await self._send(
            "a created token", "POST", f"{API}/tokens", json={"name": "stranger", "role": "user"}
        )
        other_token = self._output.created_token = created.json()["token"]
        await self._send("tokens", "GET", f"{API}/tokens")
        for job in jobs["jobs"][:3]:
            await self._send(f"own job {job['id']}", "GET", f"{API}/jobs/{job['id']}", **user)
            await self._send(
                f"another user reads {job['id']}", "GET", f"{API}/jobs/{job['id']}", to=others, token=other_token
            )

    async def send_by_events(self) -> None:
        """Send requests by queue, bus and file: successful ones, some that fail at the engine, and invalid ones."""
        await self._sandbox.use("openai")
        key = KEYS["openai"]
        fault = Fault(400, {"error": {"message": f"{key} may not draw {PROMPT}"}}, times=-1, path="/images/edits")
        self._sandbox.engines["openai"].knobs.faults = [fault]
        queue, bus = aws_client("sqs"), aws_client("events")
        url, bucket = self._sandbox.template.values["JobQueue"], self._sandbox.settings.bucket
        requests = [
            {"kind": "generation", "request": {"prompt": self._prompt("SQS"), "size": "64x64"}},
            {"kind": "edit", "request": {"prompt": self._prompt("SQS"), "image": text(encoded())}},
            {"kind": "edit", "request": {"prompt": self._prompt("SQS"), "image": PRESIGNED}},
            {"kind": "generation", "request": {"prompt": [self._prompt("SQS")]}},
            {"kind": self._prompt("kind"), "request": {"prompt": self._prompt("SQS")}},
        ]
        for body in [*map(json.dumps, requests), f"{{{self._prompt('no JSON')} {WRONG_KEY}"]:
            await asyncio.to_thread(queue.send_message, QueueUrl=url, MessageBody=body)
        detail = json.dumps({"request": {"prompt": self._prompt("EventBridge")}})
        entry: Any = {"Source": "shop", "DetailType": "Image Generation Requested", "Detail": detail}
        await asyncio.to_thread(bus.put_events, Entries=[entry])
        lines = "\n".join([*map(json.dumps, requests), self._prompt("no JSON")])
        put = aws_client("s3").put_object
        await asyncio.to_thread(put, Bucket=bucket, Key="requests/planted.jsonl", Body=lines.encode())
        await self._until_done()

    async def _until_done(self) -> None:
        """Wait until the events' jobs have finished and the file's results and the dead letters are stored."""
        async with asyncio.timeout(MAX_WAIT_SECONDS):
            while True:
                reported = [event["detail"]["channel"] for event in await self._sandbox.events()]
                keys = [item["Key"] for item in await asyncio.to_thread(lambda: list(self._items()))]
                ends = len(reported) - reported.count("images")
                if ends >= 8 and sum(key.startswith(("results/", "dead-letters/")) for key in keys) >= 3:
                    return
                await asyncio.sleep(0.1)

    def _items(self) -> Iterator[Any]:
        pages = aws_client("s3").get_paginator("list_objects_v2").paginate(Bucket=self._sandbox.settings.bucket)
        return (item for page in pages for item in page.get("Contents", []))

    async def collect(self) -> None:
        """Read the bus, the table, the bucket, Parameter Store and the engines' records."""
        output, settings = self._output, self._sandbox.settings
        output.events = await self._sandbox.events()
        output.requested = repr([state.record for state in self._sandbox.engines.values()])

        def read() -> None:
            s3 = aws_client("s3")
            for item in self._items():
                found = s3.get_object(Bucket=settings.bucket, Key=item["Key"])
                body = found["Body"].read()
                output.objects[item["Key"]] = body.decode("latin-1")
                output.metadata[item["Key"]] = f"{found['Metadata']} {found['ResponseMetadata']['HTTPHeaders']}"
                if item["Key"].startswith("dead-letters/"):
                    output.dead_letters.append(json.loads(body))
            scan = aws_client("dynamodb").get_paginator("scan")
            output.table = [item for page in scan.paginate(TableName=settings.table) for item in page["Items"]]
            stored = aws_client("ssm").get_parameter(Name=settings.config_parameter, WithDecryption=True)
            output.parameter = stored["Parameter"]["Value"]

        await asyncio.to_thread(read)
