"""The account of a token: who it belongs to, and what the configuration has for its requests."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

ACCOUNT = "/api/v1/images/account"


def test_the_account_names_the_token_and_its_limits(deployment: "Deployment") -> None:
    """A limited token's account has its name, role and limits, and the owner of its jobs."""
    deployment.tokens["limited"] = deployment.token(
        "the newsroom", engines={"openai"}, models={"b", "a"}, routes={"poster"}
    )
    (token,) = [
        token
        for token in deployment.call("GET", "/api/v1/images/tokens").json["tokens"]
        if token["name"] == "the newsroom"
    ]

    account = deployment.call("GET", ACCOUNT, role="limited").json

    assert (account["name"], account["role"], account["owner"]) == ("the newsroom", "user", f"token:{token['id']}")
    assert (account["engines"], account["models"]) == (["openai"], ["a", "b"])
    assert (account["connections"], account["routes"]) == (None, ["poster"])


def test_the_account_has_the_limits_of_its_requests_and_what_is_left(deployment: "Deployment") -> None:
    """A token with a budget sees it; one without limits has none."""
    budget = {"usd": "2.500000", "period": "month"}
    body = {"name": "the newsroom", "role": "user", "budget": budget, "max_jobs": 3}
    deployment.tokens["limited"] = deployment.call("POST", "/api/v1/images/tokens", body).json["token"]

    limits = deployment.call("GET", ACCOUNT, role="limited").json["limits"]

    assert (limits["budget"], limits["remaining_usd"]) == (budget, "2.500000")
    assert (limits["max_jobs"], limits["open_jobs"], limits["requests_per_minute"]) == (3, 0, None)
    assert deployment.call("GET", ACCOUNT, role="user").json["limits"] is None


def test_the_account_has_the_defaults_of_requests(openai_deployment: "Deployment") -> None:
    """What is switched on, and engine, model and size of a request that names none, are those of the configuration."""
    openai_deployment.configure(IMAGE_SIZE="16:9", ENABLE_IMAGE_EDIT=False, IMAGE_EDIT_ENGINE="gemini")

    account = openai_deployment.call("GET", ACCOUNT, role="user").json

    model = openai_deployment.call("GET", "/api/v1/images/config").json["IMAGE_GENERATION_MODEL"]
    assert account["generation"] == {"enabled": True, "engine": "openai", "model": model, "size": "16:9"}
    assert account["edit"] == {"enabled": False, "engine": "gemini", "model": "", "size": None}


def test_an_administrators_account_has_no_limits_and_names_the_deployment(deployment: "Deployment") -> None:
    """The deployment's name is that of its stack, which is a part of the configuration parameter's name."""
    account = deployment.call("GET", ACCOUNT).json

    assert (account["role"], account["engines"], account["models"]) == ("admin", None, None)
    assert deployment.gateway.settings.config_parameter == f"/image-gateway/{account['deployment']}/config"
