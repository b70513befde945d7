"""What a kernel is: its declaration, the facts of a call, which kernel takes which."""
