"""Sandbox engines: servers that speak the real engines' protocols and paint images with Pillow, not with a model.

Each module has `create_app(state) -> Starlette`. What an engine was asked is kept in `state.record`, and its latency
and failures are set through `state.knobs` or, over HTTP, through the routes of `control_routes`.
"""
