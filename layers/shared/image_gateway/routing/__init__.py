"""Where a request goes: its route, the destinations in their order, and what becomes of those that fail."""
