import image_gateway.cold_start  # noqa: F401 - before any module of this function imports FastAPI
