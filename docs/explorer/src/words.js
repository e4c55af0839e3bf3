// The sentences of the view "Look up runs", and its setting as a link and as Python.

import { DO_NOTHING, GOLD, START, label, same, whoOf } from "./state.js";

const ALL = "all";
export const percent = v => (100 * v).toFixed(0);
export const count = n => n.toLocaleString("en");
export const short = (v, digits) => String(Number(v.toPrecision(digits)));
/** If all groups forget alike, GA is measured on one group that did not forget more than the others. */
const isAlike = who => who.groups === "'uniform'";
/** Was the slider's ratio itself computed? */
const wasComputed = ({ ratio, asked }) => Math.abs(ratio - asked.ratio) < 1e-9;
/** What GA is measured on. */
export const fresh = ({ who }) => `new ${who.things} of ${who.whom}`;

/** What each measure is of. */
export const measures = shown => ({
  UA: `forget set: the ${shown.who.things} that were forgotten`,
  GA: fresh(shown) + (isAlike(shown.who) ? "" : ": people of the group who did not request deletion"),
  TA: "test set: all groups",
  EO: "equalized-odds difference: how unequal errors are between the groups",
  RA: "retain set", MIA: "share of the forget set that an attack classifies as never seen",
});

/** The headline. */
export function title(data, shown) {
  const [idle, after, gold] = [shown.idle, shown.mine, shown.gold].map(arm => 100 * arm.metrics.GA.mean);
  if (same(shown, DO_NOTHING)) {
    return `The original model, before anyone is forgotten, classifies ${idle.toFixed(0)} % of ` +
      `${fresh(shown)} correctly`;
  }
  const far = Math.abs(after - gold);
  const place = same(shown, GOLD) ? "which is the gold standard"
    : far < 0.5 ? "within half a point of the gold standard"
    : `${far.toFixed(1)} points ${after > gold ? "above" : "below"} the gold standard`;
  const [was, now] = [idle, after].map(v => v.toFixed(0));
  const change = was === now ? `stays at ${now}`
    : `${after > idle ? "rises" : "falls"} from ${was} to ${now}`;
  return `${label(data, shown)} at ratio ${short(shown.ratio, 2)}` +
    (wasComputed(shown) ? "" : ` (the nearest to ${short(shown.asked.ratio, 2)} that was computed)`) + ": " +
    `the accuracy on ${shown.who.whom} ${change} %, ${place}`;
}

/** What is shown, and what of the choice was snapped to it; `shown.asked` is the choice. */
export function note(data, shown) {
  const { asked } = shown, snapped = (v, here = "") => ` (nearest to ${v} that was computed${here})`;
  const said = [`ratio ${short(shown.ratio, 2)}` +
    (wasComputed(shown) ? "" : snapped(short(asked.ratio, 2)))];
  if (shown.isMiu) {
    said.push(`λ = ${short(shown.lam, 6)}` +
      (shown.lam === asked.lam ? "" : snapped(short(asked.lam, 6), " here")));
  }
  said.push(shown.seed === null ? `mean of ${shown.n} seeds` : `seed ${shown.seed}`);
  return `Shown: ${said.join(", ")}.`;
}

export function saidOfGroups(shown) {
  const moved = shown.groups.map(g => ({ ...g, by: g.after.mean - g.before.mean }));
  const most = moved.reduce((a, b) => Math.abs(b.by) > Math.abs(a.by) ? b : a);
  if (Math.abs(most.by) < 5e-4) return "No group's accuracy changes.";
  const theory = moved.find(g => g.asked && g.theory);
  return `Largest change: ${most.name}${most.asked ? " (forget group)" : ""}, ` +
    `from ${percent(most.before.mean)} to ${percent(most.after.mean)} %.` +
    (!theory ? "" : ` For ${theory.name}, the prior shift predicts ${percent(theory.theory.mean)} % after ` +
      `RETRAIN; the gold standard reaches ${percent(theory.gold.mean)} %.`);
}

export function saidOfMetrics(shown) {
  const [mine, gold, idle] = [shown.mine, shown.gold, shown.idle]
    .map(arm => metric => percent(arm.metrics[metric].mean));
  const of = m => `${mine(m)} % (gold standard ${gold(m)}, original model ${idle(m)})`;
  const like = isAlike(shown.who) ? `of ${shown.who.whom}` : "of the group";
  return `Accuracy on the forgotten ${shown.who.things}: ${of("UA")}; on new ones ${like}: ${of("GA")}.`;
}

export function saidOfDistance(data, shown) {
  const [mine, idle] = [shown.mine, shown.idle].map(arm => `${(100 * arm.distance.mean).toFixed(1)} points`);
  if (same(shown, GOLD))
    return `The gold standard is shown; the original model is ${idle} away from it.`;
  if (same(shown, DO_NOTHING)) return `The original model is ${idle} away from the gold standard.`;
  return `${label(data, shown)} is ${mine} away from the gold standard, and the original model is ` +
    `${idle} away: the mean absolute difference over six measures, by seed.`;
}

export function saidOfRatios(data, shown) {
  const { points } = shown.byRatio.series.find(s => same(s, shown));
  const [first, last] = [points[0], points.at(-1)];
  return points.length === 1 ? `Only ratio ${short(first.at, 2)} was run: ${percent(first.mean)} %.`
    : `${label(data, shown)}: ${percent(first.mean)} % at ratio ${short(first.at, 2)}, ` +
      `${percent(last.mean)} % at ${short(last.at, 2)}.`;
}

export function saidOfLams(shown) {
  const points = shown.byLam, [first] = points;
  return points.length === 1
    ? `At this ratio only λ = ${short(first.at, 6)} was run: ${percent(first.mean)} %.`
    : points.map(p => `${percent(p.mean)} % at λ = ${short(p.at, 6)}`).join(", ") + ".";
}

export const saidOfCurve = ({ UA, GA }) =>
  `In ${UA.length - 1} epochs, the accuracy on the forget set goes from ${percent(UA[0])} to ` +
  `${percent(UA.at(-1))} %, ` +
  `and new ones of the group go from ${percent(GA[0])} to ${percent(GA.at(-1))} %.`;

/** What was not stored for a setting, and for which one it was. */
export function saidOfMissing(data, shown, answers) {
  const missing = [...(shown.curve ? [] : ["accuracy by epoch (see fine-tuning at ratio 0.5)"]),
    ...(answers ? [] : ["misclassified pictures (see RETRAIN at ratio 0.5)"])];
  return missing.length === 0 ? ""
    : `Not stored for this setting: ${missing.join("; ")}. Stored for: ${data.who[0].name}.`;
}

const float = v => Number.isInteger(v) ? v.toFixed(1) : String(v);  // an int would make it another experiment

/** The runs that are shown, to be run again. */
export function python(data, shown) {
  const who = whoOf(data, shown.asked);
  const ratio = isAlike(who) ? `${Math.round(data.alike[0] * shown.ratio)} / ${data.alike[1]}`
    : short(shown.ratio, 6);
  const asked = [`"${who.dataset}", "${shown.method}"`,
    `reweight=${shown.reweight ? "True" : "False"}`, `ratio=${ratio}`,
    `groups=${who.groups.replaceAll("'", '"')}`, `seed=${shown.seed ?? "seed"}`,
    ...(shown.isMiu ? [`overrides={'lam': ${float(shown.lam)}}`] : [])].join(", ");
  const call = `run(Experiment(${asked}))`;
  return "from grmu.experiments import Experiment, run\n\n" + (shown.seed === null
    ? `results = [${call}\n           for seed in range(${data.seeds.length})]` : `result = ${call}`);
}

/** The setting as a link's hash. */
export function hashOf(data, choice) {
  const said = { v: data.version, who: choice.who, method: choice.method, reweight: +choice.reweight,
    ratio: choice.ratio, lam: choice.lam, seed: choice.seed ?? ALL };
  return "#" + new URLSearchParams(Object.entries(said).map(([name, value]) => [name, String(value)]));
}

/** A sentence about a link that was made for another version of the explorer; else null. */
export const otherVersion = (data, version) => version === String(data.version) ? null
  : `This link was made for version “${version.slice(0, 20)}” of the explorer, but this is version ` +
    `${data.version}, so the page shows the setting that it starts with.`;

/** What a link's hash says, and sentences about what cannot be read; null for a hash that is not ours. */
export function choiceOf(data, hash) {
  const asked = new URLSearchParams(hash.replace(/^#/, ""));
  if (!asked.has("v")) return null;
  const heard = name => `“${asked.get(name).slice(0, 20)}”`;
  const version = otherVersion(data, asked.get("v"));
  if (version) return { choice: START, said: [version] };
  const choice = { ...START }, said = [];
  const number = (low, high) => v =>
    v.trim() !== "" && Number(v) >= low && Number(v) <= high ? Number(v) : undefined;
  const one = names => v => names.includes(v) ? v : undefined;
  const read = { who: one(data.who.map(w => w.key)), method: one(Object.keys(data.methods)),
    reweight: v => ({ 1: true, 0: false })[v], ratio: number(0, 1), lam: number(0, 1e6),
    seed: v => v === ALL ? null : data.seeds.find(s => String(s) === v) };
  for (const [name, understood] of Object.entries(read)) {
    if (!asked.has(name)) continue;
    const value = understood(asked.get(name));
    if (value !== undefined) choice[name] = value;
    else said.push(`The link's ${name} ${heard(name)} is not known, so it uses ${choice[name] ?? ALL}.`);
  }
  return { choice, said };
}
