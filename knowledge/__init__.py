"""Facts with their sources: versions that belong together, wheels, symptoms, GPUs."""
