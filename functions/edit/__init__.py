import image_gateway.cold_start  # noqa: F401 - must run before this function imports FastAPI
