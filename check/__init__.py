"""Proves kernels: each is run in a child process against exact attention, and gets a verdict."""
