"""ComfyUI: workflows with their node maps, runs on the server's queue, and the inspection of workflows."""
