"""Choose a kernel for each attention call of a model, run it, fall back, count."""
