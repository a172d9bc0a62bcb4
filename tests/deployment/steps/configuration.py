"""The configuration: the first one, and values that Parameter Store would refuse."""

import json
from typing import Any

from sandbox.gateway import ENGINE_KEY
from tests.deployment.deployment import Deployment
from tests.deployment.step import body, step


@step
async def a_new_deployment_generates_nothing(deployment: Deployment) -> None:
    """Until it is switched on, requests are refused."""
    assert (await deployment.post("/api/v1/images/generations", {"prompt": "a fox"}, 403))["code"] == "disabled"


@step
async def the_first_configuration_is_stored(deployment: Deployment) -> None:
    """With the key of an engine, which is never returned."""
    updated = await deployment.configure(
        ENABLE_IMAGE_GENERATION=True,
        ENABLE_IMAGE_EDIT=True,
        IMAGE_ENGINE_TIMEOUT=20,
        IMAGE_GENERATION_MODEL="gpt-image-2",
        IMAGE_EDIT_MODEL="gpt-image-2",
        IMAGES_OPENAI_API_BASE_URL=f"{deployment.engine_urls['openai']}/v1",
        IMAGES_OPENAI_API_KEY=ENGINE_KEY,
        IMAGES_EDIT_OPENAI_API_BASE_URL="",
        AUTOMATIC1111_BASE_URL=deployment.engine_urls["automatic1111"],
        COMFYUI_BASE_URL=deployment.engine_urls["comfyui"],
    )
    assert updated["IMAGES_OPENAI_API_KEY"] == "********"
    assert body(await deployment.request("GET", "/api/v1/images/config/url/verify")) is True
    assert "gpt-image-2" in [model["id"] for model in await deployment.get("/api/v1/images/models")]


@step
async def the_deployment_gets_prices_and_a_budget(deployment: Deployment) -> None:
    """All jobs of the following steps are charged to it, whichever function ends them."""
    prices = [{"model": "*", "usd_per_image": "0.05", "reserve_usd": "0.05"}]
    body(await deployment.request("PUT", "/api/v1/images/prices", json={"prices": prices}))
    budget = {"usd": "1000.00", "period": "month"}
    body(await deployment.request("PUT", "/api/v1/images/limits", json={"budget": budget}))
    limits = body(await deployment.request("GET", "/api/v1/images/limits"))
    assert float(limits["budget"]["usd"]) == 1000, limits


@step
async def an_update_of_the_current_version_succeeds(deployment: Deployment) -> None:
    """`If-Match` with the version that was read, once."""
    etag = (await deployment.request("GET", "/api/v1/images/config")).headers["etag"]
    for expected in (200, 412):
        response = await deployment.request(
            "POST", "/api/v1/images/config/update", json={"IMAGE_STEPS": 4}, headers={"If-Match": etag}
        )
        body(response, expected)


@step
async def long_values_and_double_braces_are_stored(deployment: Deployment) -> None:
    """Parameter Store refuses `{{` and more than 8 KB: the parameter has neither, and the value is unchanged."""
    parameters = {"note": "{{ssm:secret}} " * 600, "styles": ["{{a}}", "b}}"]}

    await deployment.configure(AUTOMATIC1111_PARAMS=parameters)

    stored = deployment.ssm.get_parameter(Name=deployment.outputs["ConfigParameterName"], WithDecryption=True)
    value = stored["Parameter"]["Value"]
    assert len(value) < 4096
    assert "{{" not in value
    assert json.loads(value)
    assert body(await deployment.request("GET", "/api/v1/images/config"))["AUTOMATIC1111_PARAMS"] == parameters


@step
async def every_function_records_the_use_of_a_token(deployment: Deployment) -> None:
    """Of one that it is the first to see. An administrator's token is counted, and can be revoked as well."""
    requests: dict[str, tuple[str, str, Any, int]] = {
        "ConfigFunction": ("GET", "/api/v1/images/config", None, 200),
        "GenerateFunction": ("POST", "/api/v1/images/generations", {}, 422),
        "EditFunction": ("POST", "/api/v1/images/uploads", {}, 422),
        "JobsFunction": ("GET", "/api/v1/images/jobs", None, 200),
    }
    for name, (method, path, form, status) in requests.items():
        token = {"name": name, "role": "admin"}
        created = body(await deployment.request("POST", "/api/v1/images/tokens", json=token), 201)
        body(await deployment.request(method, path, token=created["token"], json=form), status)
        listed = body(await deployment.request("GET", "/api/v1/images/tokens"))["tokens"]
        assert [token["last_used_at"] for token in listed if token["name"] == name] != [None]
        body(await deployment.request("DELETE", f"/api/v1/images/tokens/{created['id']}"), 204)
