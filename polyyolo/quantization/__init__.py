"""INT8 into the graph: what to quantize, Q/DQ nodes, and FP16 for the rest."""
