"""NVIDIA's devices: GPUs by NVML, Jetson modules by the monitor on their supply."""
