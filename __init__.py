"""SageKit: faster attention for ComfyUI that never costs an image.

ComfyUI imports this file at start. It imports nothing itself, so that no kernel, no torch and no host
module is touched before ComfyUI asks for the nodes.
"""

WEB_DIRECTORY = "./web"


async def comfy_entrypoint():
    """Called once by ComfyUI after the import; returns the extension with our nodes."""
    from .app.extension import SageKitExtension

    return SageKitExtension()
