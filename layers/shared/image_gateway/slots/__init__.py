"""Slots of servers: how many jobs a server runs at once, whichever processes they come from."""
