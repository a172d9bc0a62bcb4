"""Prints, as JSON, the template that SAM passes to CloudFormation; runs in SAM CLI's own environment."""

import json
import sys
from pathlib import Path

from samcli.lib.translate.sam_template_validator import SamTemplateValidator
from samcli.yamlhelper import yaml_parse


class NoAwsManagedPolicies:
    """Replaces the list of AWS's managed policies, which the template does not use."""

    def load(self) -> dict[str, str]:
        return {}


if __name__ == "__main__":
    template = yaml_parse(Path(sys.argv[1]).read_text())
    validator = SamTemplateValidator(template, NoAwsManagedPolicies(), region="eu-central-1")
    translated = validator.get_translated_template_if_valid()
    print(json.dumps(yaml_parse(translated)))  # noqa: T201 - the result
