"""Sandbox engines: servers with the real engines' APIs that paint images with Pillow instead of a model.

Each module has `create_app(state) -> Starlette`. Requests are recorded in `state.record`. Latency and failures are set
through `state.knobs` or, over HTTP, through the routes of `control_routes`.
"""
