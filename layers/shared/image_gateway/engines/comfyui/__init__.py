"""ComfyUI: workflows, runs and masks."""
