"""The formats of the OpenAI Images API: responses, token usage and the list of models."""
