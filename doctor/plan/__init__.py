"""What to do on this machine: what fits, what is wrong, the steps and the way back."""
