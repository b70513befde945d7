"""The pack without ComfyUI: its own check, dispatch, guard and report in a small transformer."""
