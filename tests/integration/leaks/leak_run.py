"""A run of the whole sandbox with planted secrets and prompts, by every channel and engine, and its output."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3

from sandbox.client import ENGINES
from sandbox.engines.state import Fault, Knobs
from sandbox.gateway import Sandbox
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
class Emitted:
    """What a run gave out, as texts.

    Attributes:
        log: standard output and standard error of every function.
        to_owner: answers to who asked, by what was asked.
        to_others: answers to anybody else about it.
        events: what was told on the bus.
        dead_letters: messages that were given up, as they are kept.
        table: the items of the table.
        objects: bodies of the bucket's objects, by key; images' bytes as characters.
        metadata: what goes with the objects as headers, by key.
        parameter: the configuration as it is stored.
        minted: the secret of a token that an administrator made, which one answer shows.
        asked: what the engines were asked.
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
    minted: str = ""
    requested: str = ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Everything that must not be given out."""
        return (*SECRETS, self.minted)


async def emitted(log: Path) -> Emitted:
    """Run everything and gather what came of it."""
    out = Emitted()
    with log.open("wb") as file:
        async with Sandbox(log=file, admin_token=ADMIN_TOKEN, user_token=USER_TOKEN) as sandbox:
            run = _Run(sandbox, out)
            await run.configure()
            for engine in ENGINES:
                await run.engine(engine)
            await run.without_rights()
            await run.by_events()
            await run.gather()
    out.log = log.read_text()
    return out


class _Run:
    def __init__(self, sandbox: Sandbox, out: Emitted) -> None:
        self._sandbox = sandbox
        self._out = out
        self._prompts = 0

    def _prompt(self, channel: str) -> str:
        self._prompts += 1
        return f"{PROMPT} {self._prompts} {channel}"

    async def _ask(self, what: str, method: str, path: str, *, to: dict[str, str] | None = None, **options: Any) -> Any:
        answer = await self._sandbox.request(method, path, follow_redirects=True, **options)
        reported = self._out.to_owner if to is None else to
        reported[what] = f"{answer.status_code} {dict(answer.headers)} {answer.text}"
        return answer

    async def configure(self) -> None:
        """Give each engine its secret, some of them wrongly at first."""
        update = f"{API}/config/update"
        wrong = {"IMAGES_OPENAI_API_KEY": [WRONG_KEY], "AUTOMATIC1111_API_AUTH": {"password": PASSWORD}}
        await self._ask("a configuration that is none", "POST", update, json=wrong)
        for engine in ("openai", "gemini", "comfyui"):
            self._sandbox.engines[engine].knobs = Knobs(key=KEYS[engine])
        self._sandbox.engines["automatic1111"].knobs = Knobs(key=f"{USERNAME}:{PASSWORD}")
        stored = {
            # Most is done inline, which takes less time.
            "IMAGE_ENGINE_TIMEOUT": 10,
            "IMAGES_OPENAI_API_KEY": KEYS["openai"],
            "IMAGES_GEMINI_API_KEY": KEYS["gemini"],
            "COMFYUI_API_KEY": KEYS["comfyui"],
            "AUTOMATIC1111_API_AUTH": AUTH,
            "IMAGE_PROMPT_GENERATION_MODEL": "gpt-5.6-mini",
        }
        await self._ask("an update", "POST", update, json=stored)
        await self._ask("the configuration", "GET", f"{API}/config")
        moved = {"IMAGES_OPENAI_API_BASE_URL": "http://127.0.0.1:9/v1"}
        await self._ask("a URL that moves without its key", "POST", update, json=moved)
        for engine, url in self._sandbox.engine_urls.items():
            base = {"openai": f"{url}/v1", "gemini": f"{url}/v1beta"}.get(engine, url)
            form = {"engine": engine, "url": base, "key": f"wrong:{WRONG_KEY}"}
            await self._ask(f"a wrong key of {engine}", "POST", f"{API}/verify", json=form)

    async def engine(self, engine: str) -> None:
        """Generate and edit, with success and with each failure in which the engine tells what it should not."""
        await self._sandbox.use(engine)
        await self._sandbox.configure(ENABLE_IMAGE_PROMPT_GENERATION=True)
        await self._requests(engine, "success")
        secret = KEYS.get(engine, f"{USERNAME}:{PASSWORD}, Basic {BASIC}")
        words = f"Incorrect API key provided: {secret} for {PROMPT}"
        broken = f"<html><body><h1>500</h1> {secret}, while drawing {PROMPT}</body></html>"
        self._sandbox.engines[engine].knobs.faults = [Fault(500, broken, times=-1, path="/chat/completions")]
        await self._requests(engine, "prompts not rewritten")
        await self._sandbox.configure(ENABLE_IMAGE_PROMPT_GENERATION=False)
        for what, fault in {
            "a key refused": Fault(401, {"error": {"message": words}}, times=-1),
            "a failure": Fault(500, broken, times=-1),
            "a parameter refused": Fault(400, {"error": {"message": words, "param": secret, "code": secret}}, times=-1),
            "words in an odd place": Fault(400, {"reason": words, "url": f"/?key={quote(secret)}"}, times=-1),
        }.items():
            self._sandbox.engines[engine].knobs.faults = [fault]
            await self._requests(engine, what)
        self._sandbox.engines[engine].knobs.faults = []

    async def _requests(self, engine: str, what: str) -> None:
        name = f"{engine}, {what}"
        user: dict[str, Any] = {"token": USER_TOKEN}
        generation = {
            "prompt": self._prompt("HTTP"),
            "negative_prompt": self._prompt("not"),
            "size": "64x64",
            "seed": 7,
        }
        edit = {"prompt": self._prompt("edit"), "image": text(encoded())}
        await asyncio.gather(
            self._ask(f"generation, {name}", "POST", f"{API}/generations", json=generation, **user),
            self._ask(f"edit, {name}", "POST", f"{API}/edit", json=edit, **user),
            self._ask(f"models, {name}", "GET", f"{API}/models", **user),
        )

    async def without_rights(self) -> None:
        """Ask what is refused before an engine is asked, and what belongs to somebody else."""
        user: dict[str, Any] = {"token": USER_TOKEN}
        generations = f"{API}/generations"
        linked = {"prompt": self._prompt("link"), "image": PRESIGNED}
        await self._ask("a link that is refused", "POST", f"{API}/edit", json=linked, **user)
        bad = {"prompt": [self._prompt("list")], "size": self._prompt("size")}
        await self._ask("a form that is none", "POST", generations, json=bad, **user)
        await self._ask("no JSON", "POST", generations, content=f"{{{self._prompt('text')}", **user)
        prompt = {"prompt": self._prompt("garbage")}
        others = self._out.to_others
        await self._ask("garbage", "POST", generations, to=others, token=GARBAGE_TOKEN, json=prompt)
        path = f"{API}/jobs?access_token={QUERY_TOKEN}&prompt={PROMPT}"
        await self._ask("a token in the query", "GET", path, to=others, token=GARBAGE_TOKEN)
        await self._ask("a path that is none", "GET", f"/{QUERY_TOKEN}", to=others, token=GARBAGE_TOKEN)
        jobs = (await self._ask("one's jobs", "GET", f"{API}/jobs?limit=100", **user)).json()
        await self._ask("everybody's jobs", "GET", f"{API}/jobs?limit=100", to=others)
        made = await self._ask("a token made", "POST", f"{API}/tokens", json={"name": "stranger", "role": "user"})
        stranger = self._out.minted = made.json()["token"]
        await self._ask("tokens", "GET", f"{API}/tokens")
        for job in jobs["jobs"][:3]:
            await self._ask(f"one's job {job['id']}", "GET", f"{API}/jobs/{job['id']}", **user)
            await self._ask(
                f"a stranger asks for {job['id']}", "GET", f"{API}/jobs/{job['id']}", to=others, token=stranger
            )

    async def by_events(self) -> None:
        """Send requests by queue, bus and file: good ones, some that fail at the engine, and what is no request."""
        await self._sandbox.use("openai")
        key = KEYS["openai"]
        fault = Fault(400, {"error": {"message": f"{key} may not draw {PROMPT}"}}, times=-1, path="/images/edits")
        self._sandbox.engines["openai"].knobs.faults = [fault]
        queue, bus = boto3.client("sqs"), boto3.client("events")
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
        put = boto3.client("s3").put_object
        await asyncio.to_thread(put, Bucket=bucket, Key="requests/planted.jsonl", Body=lines.encode())
        await self._until_done()

    async def _until_done(self) -> None:
        """Wait for the ends of ten jobs by event, the file's results and three dead letters."""
        async with asyncio.timeout(MAX_WAIT_SECONDS):
            while True:
                reported = [event["detail"]["channel"] for event in await self._sandbox.events()]
                keys = [item["Key"] for item in await asyncio.to_thread(lambda: list(self._items()))]
                ends = len(reported) - reported.count("images")
                if ends >= 8 and sum(key.startswith(("results/", "dead-letters/")) for key in keys) >= 3:
                    return
                await asyncio.sleep(0.1)

    def _items(self) -> Iterator[Any]:
        pages = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=self._sandbox.settings.bucket)
        return (item for page in pages for item in page.get("Contents", []))

    async def gather(self) -> None:
        """Read what is on the bus, in the table, the bucket and Parameter Store, and in the engines' records."""
        out, settings = self._out, self._sandbox.settings
        out.events = await self._sandbox.events()
        out.requested = repr([state.record for state in self._sandbox.engines.values()])

        def read() -> None:
            s3 = boto3.client("s3")
            for item in self._items():
                found = s3.get_object(Bucket=settings.bucket, Key=item["Key"])
                body = found["Body"].read()
                out.objects[item["Key"]] = body.decode("latin-1")
                out.metadata[item["Key"]] = f"{found['Metadata']} {found['ResponseMetadata']['HTTPHeaders']}"
                if item["Key"].startswith("dead-letters/"):
                    out.dead_letters.append(json.loads(body))
            scan = boto3.client("dynamodb").get_paginator("scan")
            out.table = [item for page in scan.paginate(TableName=settings.table) for item in page["Items"]]
            stored = boto3.client("ssm").get_parameter(Name=settings.config_parameter, WithDecryption=True)
            out.parameter = stored["Parameter"]["Value"]

        await asyncio.to_thread(read)
