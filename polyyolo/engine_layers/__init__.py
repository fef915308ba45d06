"""What TensorRT made of a model: layers of a built engine, what they compute in, and what they cost."""
