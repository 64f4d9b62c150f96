"""CPUs and their memory: RAPL, NVIDIA's Grace, and a model where nothing measures them."""
