"""Prints, as JSON, what SAM makes of a template before CloudFormation gets it; runs in SAM CLI's own environment."""

import json
import sys
from pathlib import Path

from samcli.lib.translate.sam_template_validator import SamTemplateValidator
from samcli.yamlhelper import yaml_parse


class NoPolicies:
    """In place of AWS's list of managed policies, which the template names none of."""

    def load(self) -> dict[str, str]:
        return {}


if __name__ == "__main__":
    template = yaml_parse(Path(sys.argv[1]).read_text())
    translated = SamTemplateValidator(template, NoPolicies(), region="eu-central-1").get_translated_template_if_valid()
    print(json.dumps(yaml_parse(translated)))  # noqa: T201 - the answer
