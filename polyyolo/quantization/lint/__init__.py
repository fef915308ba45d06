"""Q/DQ graphs from anywhere, held to TensorRT's rules."""
