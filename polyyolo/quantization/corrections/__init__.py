"""What can be done to weights without training: where each channel is clipped, how it is rounded, and the bias."""
