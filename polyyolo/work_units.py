"""How much work takes a GPU as long as a kernel or a byte does, to weigh them against each other."""

MACS_PER_BYTE = 10.0
"""Multiply-accumulates in INT8 that take as long as one byte through memory."""
MACS_PER_KERNEL = 50e6
"""Multiply-accumulates in INT8 that take as long as one kernel does at least.

An H200 does 140 million of a YOLOv5s' in the 4 us that a kernel takes there at batch 1; a smaller GPU does fewer.
"""
BYTES_OF_HALF = 2
"""Of a value in FP16."""
