"""What a start of ComfyUI and the page ask for: the extension, the startup hook, the routes."""
