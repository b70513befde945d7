"""All that is known of ComfyUI, one file a contract.

A model carries a function in ``model_options["transformer_options"]["optimized_attention_override"]``.
ComfyUI calls it in place of its own attention wherever the model passes its transformer_options on
(comfy/ldm/modules/attention.py, wrap_attn; ComfyUI 0.3.60 and later), with that attention as the first
argument. Tensor containers (0.31 and later) go to the function's own ``container_function``.
"""
