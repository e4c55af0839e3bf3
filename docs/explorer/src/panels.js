// The page's figures: of what is shown, a title, a computed sentence, a drawing and the numbers as a table.

import { dots, lines } from "./figures.js";
import { GOLD, DO_NOTHING, RETRAIN, label, pictured, same } from "./state.js";
import {
  fresh, measures, saidOfCurve, saidOfDistance, saidOfGroups, saidOfLams, saidOfMetrics, saidOfRatios,
} from "./words.js";

const EXPLORED = ["UA", "GA", "TA", "EO"];
const one = v => Number.isNaN(v) ? "–" : (100 * v).toFixed(1);
const withHalf = s => !s ? "–" : one(s.mean) + (Number.isNaN(s.half) ? "" : ` ± ${one(s.half)}`);

/** How an arm is drawn wherever methods are compared. */
export function look(data, arm) {
  if (same(arm, DO_NOTHING)) return { kind: "idle", hue: "var(--grey)" };
  if (same(arm, GOLD)) return { kind: "gold", hue: "var(--ink)" };
  return { kind: arm.reweight ? "filled" : "hollow",
    hue: arm.method === "retrain" ? "var(--ink)" : data.methods[arm.method].colour };
}

/** The original model is above the row's line and the gold standard below, so that no interval is hidden. */
const beside = arm => same(arm, DO_NOTHING) ? -7 : same(arm, GOLD) ? 7 : 0;

export function groupsPanel(data, shown, width) {
  const said = saidOfGroups(shown);
  const rows = shown.groups.map((g, i) => {
    const hue = g.asked ? data.asks : data.colours[i % data.colours.length];
    return { label: g.name + (g.asked ? " – forget group" : ""), strong: g.asked,
      value: `${one(g.before.mean)} → ${one(g.after.mean)} %`,
      link: { from: g.before.mean, to: g.after.mean, hue },
      marks: [{ kind: "gold", mean: g.gold.mean }, { ...g.before, kind: "idle", hue: "var(--grey)" },
        { ...g.after, kind: "filled", hue }, ...(g.theory ? [{ kind: "theory", mean: g.theory.mean }] : []),
        ...(shown.own?.groups ? [{ kind: "own", mean: shown.own.groups[i] }] : [])] };
  });
  return { key: "groups", title: "Test accuracy of every group, before and after", said,
    drawing: dots(rows, width, said),
    head: ["group", "forget group", "before (%)", "after (%)", "gold standard (%)", "prediction (%)"],
    body: shown.groups.map(g => [g.name, g.asked ? "yes" : "no", withHalf(g.before), withHalf(g.after),
      withHalf(g.gold), withHalf(g.theory)]) };
}

export function metricsPanel(data, shown, width) {
  const said = saidOfMetrics(shown);
  const arms = shown.arms.filter(arm => !same(arm, RETRAIN) || same(arm, shown));
  const of = measures(shown), name = m => `${m}: ${of[m]}`;
  const rows = EXPLORED.map(m => ({ label: name(m), value: `${one(shown.mine.metrics[m].mean)} %`,
    marks: [...arms.map(arm => ({ ...arm.metrics[m], ...look(data, arm), shift: beside(arm) })),
      ...(shown.own?.metrics ? [{ kind: "own", mean: shown.own.metrics[m] }] : [])] }));
  return { key: "metrics", title: "Four measures, compared with two references", said,
    drawing: dots(rows, width, said),
    head: ["measure", ...shown.arms.map(arm => `${label(data, arm)} (%)`)],
    body: data.metrics.map(m => [name(m), ...shown.arms.map(arm => withHalf(arm.metrics[m]))]) };
}

export function distancePanel(data, shown, width) {
  const said = saidOfDistance(data, shown), arms = shown.arms.filter(arm => !same(arm, GOLD));
  const reach = Math.max(...arms.map(a => a.distance.mean + (a.distance.half || 0)));
  const max = [0.1, 0.2, 0.4, 1].find(m => reach <= m) ?? 1;
  return { key: "distance", title: "Distance from the gold standard (0: the same)", said,
    drawing: dots(arms.map(arm => ({ label: label(data, arm), value: `${one(arm.distance.mean)} points`,
      marks: [{ ...arm.distance, ...look(data, arm) }] })), width, said,
      { max, ticks: [0, max / 4, max / 2, 0.75 * max, max] }),
    head: ["method", "mean over RA, UA, TA, MIA, EO, GA (points)"],
    body: shown.arms.map(arm => [label(data, arm), withHalf(arm.distance)]) };
}

export function ratioPanel(data, shown, width) {
  const said = saidOfRatios(data, shown), { series, theory } = shown.byRatio;
  const here = theory.find(p => p.at === shown.ratio), own = shown.own?.metrics;
  const all = [...new Set(series.flatMap(s => s.points.map(p => p.at)))].sort();
  const at = (points, ratio) => withHalf(points.find(p => p.at === ratio));
  return { key: "ratio", said,
    title: `GA: accuracy on ${fresh(shown)}, against the ratio (%)`,
    drawing: lines(series.map(s => ({ ...look(data, s), points: s.points })), width, said,
      { at: shown.ratio, ticks: [0, 0.25, 0.5, 0.75, 1], place: v => v, name: "unlearning ratio",
        marks: [...(here ? [{ kind: "theory", at: here.at, mean: here.mean }] : []),
          ...(own ? [{ kind: "own", at: shown.asked.ratio, mean: own.GA }] : [])] }),
    head: ["ratio", ...series.map(s => `${label(data, s)} (%)`), "predicted for RETRAIN (%)"],
    body: all.map(r => [String(r), ...series.map(s => at(s.points, r)), at(theory, r)]) };
}

export function lamPanel(data, shown, width) {
  const said = saidOfLams(shown), ticks = shown.byLam.map(p => p.at), last = Math.max(ticks.length - 1, 1);
  const level = arm => ({ ...look(data, arm),
    points: [ticks[0], ticks.at(-1)].map(v => ({ at: v, mean: arm.metrics.GA.mean })) });
  const levels = [shown.idle, shown.gold].map(level).map(s => ticks.length > 1 ? s : { ...s, points: [] });
  return { key: "lam", title: "GA against λ, the weight of MIU's calibration (%)", said,
    drawing: lines([...levels, { ...look(data, shown), points: shown.byLam }], width, said,
      { at: shown.lam, ticks, place: v => ticks.length > 1 ? ticks.indexOf(v) / last : 0.5,
        name: "λ (values that were run)" }),
    head: ["λ", `${label(data, shown)} (%)`], body: shown.byLam.map(p => [String(p.at), withHalf(p)]) };
}

/** What the marks of a live run are, in the legend. */
export const OWN = [["own", "your run: new ones of the group"], ["ring", "your run: its forget set"]];

const SHARES = { GA: "new ones of the group", UA: "forget set", TA: "test set" };
const every = (values, mean = v => v) => values.map((value, at) => ({ at, mean: mean(value) }));
const along = last => {
  const step = Math.ceil(last / 10);
  return { ticks: Array.from({ length: Math.floor(last / step) + 1 }, (_, i) => i * step),
    place: v => v / last, name: "epoch; 0 is before" };
};
const ofOwn = (own, name) =>
  own.epochs.filter(row => name in row).map(row => ({ at: row.epoch, mean: row[name] }));

/** Accuracies epoch by epoch: what was kept, and a run of the reader's own, which may still go on. */
export function curvePanel(shown, width) {
  const { UA, GA } = shown.curve ?? { UA: [], GA: [] }, own = shown.own ?? { epochs: [], of: 0 };
  const last = Math.max(UA.length - 1, own.of, 1), now = own.epochs.at(-1);
  const live = now && `Your run, epoch ${now.epoch} of ${own.of}: ` + Object.entries(SHARES)
    .filter(([name]) => name in now).map(([name, words]) => `${words} ${one(now[name])} %`).join(", ") + ".";
  const kept = shown.curve && saidOfCurve(shown.curve);
  const said = [live, kept].filter(Boolean).join(" ") || "This setting has not been run yet.";
  const mine = at => now ? ["GA", "UA"].map(name => own.epochs.find(row => row.epoch === at)?.[name]) : [];
  return { key: "curve", title: "Epoch by epoch (%)" + (shown.curve
    ? ": ● new ones of the group, ○ forget set; means over five seeds" : ""), said,
    drawing: lines([
      { kind: "hollow", points: every(UA) }, { kind: "filled", hue: "var(--asks)", points: every(GA) },
      { kind: "ring", points: ofOwn(own, "UA") }, { kind: "own", points: ofOwn(own, "GA") },
    ], width, said, along(last)),
    head: ["epoch", "GA: new ones of the group (%)", "UA: forget set (%)",
      ...(now ? ["GA, your run", "UA, your run"] : [])],
    body: Array.from({ length: last + 1 }, (_, i) =>
      [String(i), ...[GA[i], UA[i], ...mine(i)].map(v => one(v ?? NaN))]) };
}

const MORE = [
  { key: "bound", of: ["mi_forget", "mi_train"],
    title: "MIU's bound M before the epoch (nats): ● forget set, ○ training set" },
  { key: "loss", of: ["forget_loss", "retain_loss"],
    title: "Loss, mean over the pass: ● forget pass, ○ retain pass" },
];

/** What a run's method says besides, epoch by epoch. */
function morePanel({ key, title, of }, own, width) {
  const [filled, hollow] = of.map(name => ofOwn(own, name));
  const values = [0, ...[...filled, ...hollow].map(p => p.mean)];
  if (values.length === 1) return null;
  const step = Math.max(Math.ceil(Math.max(...values) - Math.min(...values)) / 4, 0.25);
  const low = Math.floor(Math.min(...values) / step) * step;
  const words = title.match(/[●○] ([^,]+)/g).map(s => s.slice(2));
  const said = [filled, hollow]
    .map((points, i) => points.length ? `${words[i]} ${points.at(-1).mean.toFixed(2)}` : "")
    .filter(Boolean).join(", ") + ` in epoch ${own.epochs.at(-1).epoch}.`;
  return { key, title, said, drawing: lines([{ kind: "filled", hue: "var(--asks)", points: filled },
    { kind: "hollow", points: hollow }], width, said,
    { ...along(Math.max(own.of, 1)), up: [0, 1, 2, 3, 4, 5].map(i => low + i * step), unit: 1 }),
    head: ["epoch", ...words], body: own.epochs.filter(row => of.some(name => name in row)).map(row =>
      [String(row.epoch), ...of.map(name => row[name]?.toFixed(3) ?? "–")]) };
}

/** A live run: accuracies, beside what was kept of its setting, and what its method says besides. */
export const runPanels = (shown, width) => [curvePanel(shown, width),
  ...(shown.own ? MORE.map(more => morePanel(more, shown.own, width)).filter(Boolean) : [])];

/** All figures: first what follows the slider, beside a kernel then the curves that a run grows in. */
export function panels(data, shown, width, beside) {
  const rest = [groupsPanel, metricsPanel, distancePanel, shown.isMiu && lamPanel].filter(Boolean)
    .map(panel => panel(data, shown, width));
  const curves = shown.curve ? [curvePanel(shown, width)] : [];
  return [ratioPanel(data, shown, width), ...(beside ? [...runPanels(shown, width), ...rest]
    : [...rest, ...curves])];
}

/** Rows of pictures: of each group, which are wrong in most of the seeds shown. */
export function picturesOf(data, shown) {
  const found = pictured(data, shown);
  return found && shown.groups.map((g, i) => {
    const right = shares => shares.filter(share => share > 0.5).length;
    return { name: g.name, asked: g.asked, shares: found.after[i], before: right(found.before[i]),
      after: right(found.after[i]) };
  });
}
