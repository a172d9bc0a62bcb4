"""What `python -m sandbox run` is given: tokens in the environment, and template parameters on the command line."""

import argparse
import os

from sandbox.errors import SandboxError
from sandbox.template import Template


def given_tokens() -> tuple[str, str]:
    """Return the admin's and the user's token from the environment; an empty string where a variable is not set.

    Raises:
        SandboxError: the tokens are equal, or one is malformed.
    """
    admin, user = (os.environ.get(name, "") for name in ("ADMIN_TOKEN", "USER_TOKEN"))
    if admin and admin == user:
        raise SandboxError("ADMIN_TOKEN and USER_TOKEN must differ")
    for name, token in (("ADMIN_TOKEN", admin), ("USER_TOKEN", user)):
        if len(token) > 256 or any(not "!" <= character <= "~" for character in token):
            raise SandboxError(f"{name} must be 1 to 256 printable ASCII characters without spaces")
    return admin, user


def given_parameters(arguments: list[str]) -> dict[str, str]:
    """Parse template parameters, and check them as CloudFormation does.

    Args:
        arguments: each `Name=value`.

    Raises:
        SandboxError: an argument has another form, or CloudFormation would refuse the parameters.
    """
    for argument in arguments:
        if "=" not in argument:
            raise SandboxError(f"{argument!r} is no template parameter: give it as Name=value")
    parameters = dict(argument.split("=", 1) for argument in arguments)
    if refusals := Template(parameters=parameters).refusals():
        raise SandboxError("\n".join(refusals))
    return parameters


def share(text: str) -> float:
    """Parse a share from 0 to 1.

    Raises:
        argparse.ArgumentTypeError: the text is no such number.
    """
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return number
