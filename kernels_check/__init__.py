"""What attention kernels this machine has, what each takes, and why it refuses. Needs no torch to import."""
