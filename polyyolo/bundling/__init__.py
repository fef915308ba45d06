"""What goes to a machine that has trtexec and nothing else, and what comes back from it."""
