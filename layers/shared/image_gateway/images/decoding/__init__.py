"""Decoding of untrusted images in child processes, whose memory and CPU time are limited by the operating system."""
