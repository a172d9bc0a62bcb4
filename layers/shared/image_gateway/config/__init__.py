"""The configuration of a deployment: its fields, its catalogue of connections, routes and workflows, and updates."""
