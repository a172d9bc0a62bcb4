import image_gateway.lean_fastapi  # noqa: F401 - before any module of this function imports FastAPI
