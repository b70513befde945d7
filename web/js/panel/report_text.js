// What is copied for an issue: plain text, in English whatever the page's language, as those who read it expect.
// @ts-check

const ERROR_DIGITS = 2;
// The nodes that are told of, the last.
const NODES = 20;

/**
 * @param {{status: any, report: any, plan: any}} state
 * @returns {string}
 */
export function reportText({ status, report, plan }) {
  const parts = [
    [`SageKit ${status?.version ?? "unknown"}`],
    machineLines(status?.environment),
    remarkLines(status),
    verdictLines(status?.verdicts ?? {}),
    plan?.plan ? [`plan: ${plan.plan.outcome}`, plan.plan.summary] : [],
    runLines((report?.runs ?? []).at(-1)),
    nodeLines(report?.nodes ?? []),
  ];
  return `${parts.filter((part) => part.length).map((part) => part.join("\n")).join("\n\n")}\n`;
}

/** @param {any} environment */
function machineLines(environment) {
  if (!environment) return ["this machine: not read"];
  const { gpus = [], packages = {}, python, torch } = environment;
  return [
    `gpu: ${gpus.map((/** @type {any} */ gpu) => [gpu.name, gpu.capability, gpu.memory_mib && `${gpu.memory_mib} MiB`].filter(Boolean).join(", ")).join("; ") || "none"}`,
    `driver: ${environment.driver ?? "unknown"}`,
    `torch: ${torch ? `${torch.version} ${torch.build}`.trim() : "not installed"}, CUDA ${torch?.cuda ?? "unknown"}`,
    ...Object.entries(packages)
      .filter(([name]) => name !== "torch")
      .map(([name, one]) => [`${name}: ${one.version || "version unknown"}`, one.build, one.as_module && "(found as a module, without metadata)", one.fork].filter(Boolean).join(" ")),
    `python: ${python?.version ?? "unknown"}${python?.embedded ? " (embedded)" : ""}`,
    `system: ${[environment.system, environment.release, environment.wsl && "WSL", python?.machine].filter(Boolean).join(" ")}`,
    `ComfyUI: ${environment.comfyui ?? "unknown"}`,
    `flags: ${(environment.flags ?? []).join(" ") || "none"}`,
  ];
}

/** @param {any} status */
function remarkLines(status) {
  const misfits = [...(status?.mismatches ?? []), ...(status?.limits ?? [])].map(
    ({ about, reason, do: what }) => `${about}: ${reason?.code}: needs ${reason?.needed}, got ${reason?.came}. ${what}`,
  );
  return [...misfits, ...(status?.remarks ?? [])];
}

/** @param {Record<string, Record<string, any>>} verdicts */
function verdictLines(verdicts) {
  const lines = Object.entries(verdicts).flatMap(([gpu, found]) => [
    `kernels on ${gpu || "no GPU"}:`,
    ...Object.entries(found).map(([kernel, { state, error, detail }]) => {
      const number = typeof error === "number" ? `error ${error.toPrecision(ERROR_DIGITS)}` : "";
      return `  ${kernel}: ${[state, number, detail].filter(Boolean).join(", ")}`;
    }),
  ]);
  return lines.length ? lines : ["kernels: none checked"];
}

/** What the nodes said last, those that compile or accumulate in FP16 as well. @param {any[]} nodes */
function nodeLines(nodes) {
  const lines = nodes.slice(-NODES).flatMap(({ node_id, node_type, line, text = "", warnings = [] }) => {
    const warned = warnings.map((/** @type {any} */ one) => one.text);
    const others = text.split("\n").filter((/** @type {string} */ one) => one && one !== line && !warned.includes(one));
    return [
      `  ${node_type || "node"} ${node_id}: ${line}`,
      ...warned.map((/** @type {string} */ one) => `    warning: ${one}`),
      ...others.map((/** @type {string} */ one) => `    ${one}`),
    ];
  });
  return lines.length ? ["the nodes:", ...lines] : [];
}

/** @param {any} run */
function runLines(run) {
  if (!run) return ["last run: none"];
  const heading = `last run: ${run.model}, kernel ${run.kernel}, quality ${run.quality}, ${run.seconds} s`;
  const notes = (run.notes ?? []).map((/** @type {string} */ note) => `note: ${note}`);
  return [heading, run.summary || run.line, ...speedLines(run.speed), ...notes, ...(run.classes ?? []).map(classLine)];
}

/** @param {any} speed */
function speedLines(speed) {
  if (!speed) return [];
  const { gain, without, measuring, advice } = speed;
  const told = typeof gain === "number" ? `${gain}x, ${without} s without SageKit, estimated` : "not measured";
  return [`speed: ${told}, ${measuring} s of it measuring`, ...(advice ? [`advice: ${advice}`] : [])];
}

/** @param {any} one */
function classLine(one) {
  const times = one.milliseconds ? ` ${one.milliseconds} ms (own ${one.host_milliseconds ?? "unknown"})` : "";
  const error = typeof one.error === "number" ? ` error ${one.error.toPrecision(ERROR_DIGITS)}` : "";
  return `  ${one.call}: ${one.kernel || `own, ${one.reason}`} x ${one.calls}${times}${error}`;
}
