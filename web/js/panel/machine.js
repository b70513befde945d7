// The part about this machine: what is installed, what does not fit, what is being checked.
// @ts-check
import { icon, list, make } from "../dom.js";
import { state } from "../store.js";
import { number, say, told, why } from "../words.js";
import { empty, facts, section } from "./section.js";

// Told beside torch, or of no use to who reads it.
const TOLD_ELSEWHERE = new Set(["torch"]);

export function machine() {
  return section("machine", write, () => {
    const { verdicts: _, times: __, notices: ___, kernels: ____, ...shown } = state.status ?? {};
    return JSON.stringify(shown);
  });
}

/** @param {any} body */
function write(body) {
  const status = state.status;
  if (!status) return body.replaceChildren(empty(say("loading")));
  const parts = [];
  if (status.checking) {
    const { number = 0, count = 0 } = status.check ?? {};
    const text = say("checking", { kernel: status.checking, number, count });
    parts.push(make("p.checking", { role: "status" }, icon("spin spinner"), text));
    parts.push(make("progress.progress", { max: count, value: Math.max(0, number - 1), "aria-label": text }));
  }
  parts.push(status.environment ? facts(rows(status.environment)) : empty(say("machineUnknown")));
  parts.push(list(say("mismatches"), (status.mismatches ?? []).map(misfit)));
  parts.push(list(say("limits"), (status.limits ?? []).map(misfit)));
  parts.push(list(say("remarks"), (status.remarks ?? []).map(told)));
  body.replaceChildren(...parts.flat().filter(Boolean));
}

/**
 * @param {any} environment
 * @returns {[string, any][]}
 */
export function rows(environment) {
  const { gpus = [], packages = {}, python, torch } = environment;
  const others = Object.entries(packages).filter(([name]) => !TOLD_ELSEWHERE.has(name));
  const system = [environment.system, environment.release, environment.wsl && "WSL", python?.machine];
  return [
    [say("gpu"), gpus.length ? gpus.map((/** @type {any} */ gpu) => make("div", {}, gpuText(gpu))) : say("noGpu")],
    [say("driver"), environment.driver ?? say("unknown")],
    ["torch", torch ? [torch.version, torch.build && `+${torch.build}`].filter(Boolean).join("") : say("notInstalled")],
    [say("cuda"), torch?.cuda ?? say("unknown")],
    ...(packages.triton || packages["triton-windows"] ? [] : [absent("Triton")]),
    ...others.map(([name, one]) => /** @type {[string, any]} */ ([name, packageText(one)])),
    ["ComfyUI", environment.comfyui],
    [say("python"), python && [python.version, python.embedded && "embedded"].filter(Boolean).join(", ")],
    [say("system"), system.filter(Boolean).join(" ")],
    [say("launchFlags"), (environment.flags ?? []).map((/** @type {string} */ flag) => `--${flag.replaceAll("_", "-")}`).join(" ")],
  ];
}

/** @param {string} name @returns {[string, any]} */
function absent(name) {
  return [name, say("notInstalled")];
}

/** @param {any} gpu */
export function gpuText(gpu) {
  const more = [];
  if (gpu.capability) more.push(say("gpuCapability", { capability: gpu.capability }));
  if (gpu.memory_mib) {
    more.push(say("gpuMemory", { gib: number(gpu.memory_mib / 1024, { maximumFractionDigits: 0 }) }));
  }
  return more.length ? `${gpu.name} (${more.join(", ")})` : gpu.name;
}

/** @param {any} one */
export function packageText(one) {
  const version = [one.version, one.build && !one.version?.includes(one.build) && `+${one.build}`];
  const told = [version.filter(Boolean).join("") || say("versionUnknown"), one.as_module && say("asModule"), one.fork];
  return told.filter(Boolean).join(", ");
}

/** What does not fit, why, and what to do. @param {any} one */
export function misfit(one) {
  const { needed, came } = one.reason ?? {};
  const reason = needed || came ? `: ${why(one.reason)}. ` : ": ";
  return [make("strong", {}, told(one.about ?? "")), reason, told(one.do ?? "")];
}
