"""Secrets and prompts that a run of the sandbox uses."""

import base64

USERNAME, PASSWORD = "planted-username", "planted-password"
BASIC = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()

KEYS = {
    # With characters that JSON, URLs and Python's `repr` escape.
    "openai": 'sk-planted"openai\\0123+456/789=abcdef',
    "gemini": "AIza-planted-gemini-0123456789",
    "comfyui": "planted-comfyui-0123456789",
}

ADMIN_TOKEN, USER_TOKEN = "planted-admin-token-0123456789", "planted-user-token-0123456789"
GARBAGE_TOKEN = "planted-garbage-token-0123456789"
QUERY_TOKEN = "planted-query-token-0123456789"
WRONG_KEY = "sk-planted-wrong-0123456789abcdef"
SIGNATURE = "planted-signature-0123456789"
PRESIGNED = f"http://127.0.0.1:9/elsewhere.png?X-Amz-Credential=planted&X-Amz-Signature={SIGNATURE}"
ENGINE_SECRETS = (*KEYS.values(), PASSWORD, BASIC, WRONG_KEY)
TOKENS = (ADMIN_TOKEN, USER_TOKEN, GARBAGE_TOKEN, QUERY_TOKEN)
SECRETS = (*ENGINE_SECRETS, *TOKENS, SIGNATURE)
PROMPT = "planted-prompt"
"""The beginning of each prompt; a number and the place where it was sent follow."""


AUTH = {"username": USERNAME, "password": PASSWORD}
API = "/api/v1/images"
MAX_WAIT_SECONDS = 60
