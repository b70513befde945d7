"""Every sentence of this room: what the nodes say of a run, and why a kernel did not run in it."""

from ..machine.message import Catalogue, Reasons

REASONS = Reasons(
    {
        "unknown-kernel": ("a kernel that this version of SageKit knows", "{kernel}"),
        "unchecked": ("a kernel check that it passes", "none yet"),
        "raised": ("a kernel that runs", "{error}"),
        "out-of-memory": ("memory for its work space", "a GPU that is full"),
        "unmeasured": ("its turn within {limit:g} s of measuring", "no time left; next start goes on"),
        "error": ("an error of {budget:g} at most", "{error:.2g}"),
        "slower": ("less time than {winner} ({best:.3g} ms)", "{milliseconds:.3g} ms"),
    }
)

ATTENTION = Catalogue(
    {
        # What a run comes to.
        "not-reached": "not reached",
        "off": "off",
        "off-summary": "off: attention as without the node",
        "no-call-came": "patch not reached: no attention call of this model came here",
        "run-failed": "run failed",
        "run-failed-after": "run failed after {calls:,} calls",
        "run-cancelled": "cancelled",
        "run-cancelled-after": "cancelled after {calls:,} calls",
        "run-line": "{parts:dot}",
        "calls-by-kernel": "{calls}",
        "step": "step {step}/{steps}",
        "step-gain": "step {step}/{steps} · {gain:.2f}x so far",
        "checking-kernels": "checking kernels {number}/{count}; faster from the next run",
        # The same in a word, beside a node's title.
        "badge-checking": "check {number}/{count}",
        "badge-step": "{step}/{steps}",
        "badge-gain": "{gain:.2f}x",
        "badge-failed": "failed",
        "badge-cancelled": "cancelled",
        "kernel-calls": "{kernel} {calls:,}",
        "own-calls": "ComfyUI {calls:,}",
        "gain": "{gain:.2f}x faster",
        "loss": "slower: {gain:.2f}x",
        "no-gain": "no gain",
        "run-summary": "calls: {parts}",
        "run-summary-less": "calls: {parts}; attention took about {seconds:.1f} s less",
        "own-calls-by-reason": "ComfyUI's own {calls:,} ({reasons})",
        "reason-calls": "{reason} {calls:,}",
        # What would make such a run faster.
        "advice-auto": (
            "With kernel auto it would have been about {gain:.2f}x faster: {kernel} was measured here."
        ),
        "advice-auto-measures": "Set kernel to auto: it measures the kernels and takes the fastest.",
        "advice-quality": (
            "With quality {quality} it would have been about {gain:.2f}x faster: {kernel} was measured here."
        ),
        "advice-range": (
            "The ranges of this node kept {calls:,} calls exact; without them it would have been about "
            "{gain:.2f}x faster."
        ),
        "advice-device": "No call was on a GPU that SageKit has kernels for.",
        "advice-unchecked": "Kernels are still being checked; the next run can take those that pass.",
        "advice-attention": (
            "Attention took {share:.0%} of this run, and no setting is known here that makes it faster; the "
            "rest is for Patch Torch Compile."
        ),
        "named-kernel-did-not-run": (
            "{kernel} did not run ({reasons:then}); ComfyUI's own attention ran instead"
        ),
        "measuring": "measuring attention: {number} of {count} kernels, {q_len} x {kv_len}",
        "attention-is-measured-again": "attention is measured again",
        "times-not-kept": "the times of attention kernels cannot be kept: {error}",
        # What happened to a kernel.
        "raised-here": "one that raised",
        "raised-in-measuring": "one that raised while it was measured",
        "put-back": "the package of {kernel} changed {settings:and} when it was imported; that was put back",
        "dropped": "{kernel} failed and is not used again until ComfyUI restarts ({error})",
        "no-numbered-blocks": (
            "exact_first_blocks and exact_last_blocks do nothing: this model numbers no blocks"
        ),
        # What the guard found.
        "guard-notice": "{model}: {finding}",
        "kept-out": "{kernels} gave {causes:and} and runs no more for this model in {places}",
        "kept-out-more": (
            "{kernels} gave {causes:and} and runs no more for this model in {places} and {more} more"
        ),
        "kept-out-everywhere": (
            "quantised kernels run no more for this model, to which they gave NaN, Inf or wrong values"
        ),
        "kept-out-entirely": (
            "no kernel of SageKit runs for this model any more: they gave it NaN, Inf or wrong values"
        ),
        "run-again": "{finding}; the step was run again with exact attention",
        "run-again-after-raising": (
            "a kernel failed in the middle of a step; the step was run again with exact attention"
        ),
        "answers-kept": (
            "kernels gave NaN, Inf or wrong values, and another node, which keeps answers, did not "
            "let the step be run again; this model stays exact"
        ),
        "broken-together": (
            "kernels together led to NaN or Inf; the step was run again with exact attention, and "
            "this model stays exact"
        ),
        "broken-by-itself": "the model gives NaN or Inf with exact attention, too: not a kernel's doing",
        "not-finite": "NaN or Inf",
        "wrong-values": "wrong values",
        "errors-above": "errors above {budget:g}",
        "place-call": "attention call {number}",
        "place-block": "block {number}",
        "place-block-of-kind": "{kind} block {number}",
        "place-calls": "calls of {call}",
    }
)

COMPILE = Catalogue(
    {
        "compiling": "compiling {what}, {seconds:.0f} s",
        "badge-compiling": "compiling",
        "badge-compiled": "compiled",
        "block-of": "block {number} of {count}",
        "whole-model": "the model",
        "blocks": "{count} blocks",
        "not-compiled": "not compiled",
        "nothing-compiled": "nothing runs compiled",
        "compiled": "{what} compiled",
        "compiled-line": "{what} compiled · {graphs}, {seconds:.0f} s",
        "compiled-nothing-new": "{what} compiled; nothing new to compile in this run",
        "compiled-in": "{what} compiled: {graphs} in {seconds:.0f} s",
        "compiled-in-from-cache": (
            "{what} compiled: {graphs} in {seconds:.0f} s, {hits} from the cache on disk"
        ),
        "graph": "1 graph",
        "graphs": "{count} graphs",
        "limit-of-graphs": (
            "torch has reached its limit of graphs for a part of this model and runs new sizes of it "
            "uncompiled; dynamic true needs fewer graphs"
        ),
        "runs-uncompiled": "runs uncompiled: {why}",
        "dynamic-vram-stays": "dynamic VRAM cannot be switched off for it ({error})",
        "dynamic-vram-off": (
            "dynamic VRAM is off for this model: compiled blocks need their weights in place"
        ),
        "patched-inside": (
            "another node runs {patches} inside the blocks, which a graph would go on running as it saw them "
            "first"
        ),
        "no-blocks-found": "no blocks found in this model; try compile: whole model",
        "blocks-replaced": "{count} of {blocks} blocks run uncompiled: another node replaced them",
        "blocks-not-resident": (
            "{count} of {blocks} blocks run uncompiled: their weights do not fit on the GPU and are brought "
            "in for each step"
        ),
        "unknown-setting": "{name} {value} is not known here; {runs} runs instead",
        "no-cuda-graphs": (
            "{name} {value} is not used: a CUDA graph replays what it recorded, so that attention in it "
            "could not be guarded or switched off; {runs} runs instead"
        ),
        # Why compiling cannot work, or failed.
        "compiler-error": "{error}",
        "triton-capability": "Triton needs compute capability {oldest}, got {capability}",
        "triton-fp8-capability": (
            "Triton compiles float8_e4m3fn weights for compute capability {oldest} and newer, got "
            "{capability}; load float8_e5m2 or 16-bit weights"
        ),
    }
)

FP16 = Catalogue(
    {
        "fp16-on": "on",
        "fp16-off": "off",
        "fp16-on-no-effect": "on, changes nothing",
        "fp16-is-on": "FP16 accumulation is on while this model runs",
        "fp16-is-off": "FP16 accumulation is off while this model runs",
        "fp16-needs-torch": ("FP16 accumulation needs torch 2.7, got {torch}; the model runs without it"),
        "fp16-no-effect": "FP16 accumulation changes nothing here: {why}",
        "fp16-gpu": "it needs an NVIDIA GPU, and the model runs on {device}",
        "an-amd-gpu": "an AMD GPU",
        "fp16-capability": "it needs a GPU of compute capability 7.0, got {capability}",
        "fp16-dtype": (
            "the model computes in {dtype}, and only float16 is affected (ComfyUI computes in float16 under "
            "--fp16-unet; some models overflow in it)"
        ),
        "fp16-cublas-ops": "cublas_ops is active, which accumulates in float16 by itself",
        "fp16-fp8": "the model multiplies in float8 (--fast fp8_matrix_mult)",
        "fp16-quantised": "{count} of the model's {layers} linear layers multiply in {formats}",
        "fp16-known-bad": (
            "Flux with Sage attention, torch.compile and FP16 accumulation together is known to give noise "
            "(ComfyUI#8689); take one of the three off this model if yours does"
        ),
    }
)
