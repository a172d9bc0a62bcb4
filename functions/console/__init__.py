"""The console: the gateway's web page for people."""
