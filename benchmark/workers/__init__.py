"""Where work runs: processes on this machine, a Ray cluster, those of torchrun."""
