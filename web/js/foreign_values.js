// Values of KJNodes' nodes that ours stand in for, as values of ours, by the widget's name.
// @ts-check

/**
 * The same as the nodes understand in a prompt; those of "kernel" are written by `python dev.py docs`.
 * @type {Record<string, Record<string, string>>}
 */
const MEANINGS = {
  "kernel": {
    "false": "off",
    "disabled": "off",
    "sageattn_qk_int8_pv_fp16_cuda": "sage2-int8-fp16",
    "sageattn_qk_int8_pv_fp16_triton": "sage2-int8-fp16-triton",
    "sageattn_qk_int8_pv_fp8_cuda": "sage2-int8-fp8",
    "sageattn_qk_int8_pv_fp8_cuda++": "sage2-int8-fp8-acc-fp32+fp16",
    "sageattn3_per_block_mean": "sage3-fp4-block-mean",
    "sageattn3": "sage3-fp4"
  },
  "compile": { "true": "blocks", "false": "whole model" },
  "dynamic": { "true": "true", "false": "false" },
  "backend": { "cudagraphs": "inductor" },
  "mode": { "reduce-overhead": "default", "max-autotune": "max-autotune-no-cudagraphs" }
};
/** Those of which ours does something else, which is to be said. */
const OTHERS = new Set(["backend", "mode"]);

/**
 * Gives a widget the value of ours for one of KJNodes'; every other value stays.
 * @param {any} widget
 * @returns {{value: string, runs: string} | null} what now runs in the place of what, where that is something else
 */
export function translate(widget) {
  const value = String(widget.value);
  const meanings = MEANINGS[widget.name] ?? {};
  if (!Object.hasOwn(meanings, value) || meanings[value] === widget.value) return null;
  widget.value = meanings[value];
  return OTHERS.has(widget.name) ? { value, runs: widget.value } : null;
}
