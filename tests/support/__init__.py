"""What several tests share: the real host, its server, tiny models, fake kernels."""
