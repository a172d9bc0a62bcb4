"""Google's Gemini and Imagen models."""
