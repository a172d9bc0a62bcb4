"""Inspection of ComfyUI workflows: what an operator would otherwise search for in their JSON."""

from image_gateway.engines.comfyui.inspection.findings import Alternative, Inspection, Problem, Proposal
from image_gateway.engines.comfyui.inspection.inspect import inspect_workflow
from image_gateway.engines.comfyui.inspection.reading import read_workflow

__all__ = ["Alternative", "Inspection", "Problem", "Proposal", "inspect_workflow", "read_workflow"]
