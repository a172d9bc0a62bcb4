"""AUTOMATIC1111 and compatible servers (Forge, SD.Next, stable-diffusion.cpp)."""
