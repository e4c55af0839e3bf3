// What a choice shows: pure functions of the data and the choice. Nothing is interpolated; what was not
// computed is snapped to the nearest setting that was.

export const START = {
  who: "smallest", method: "retrain", reweight: false, ratio: 0.5, lam: 1, seed: null };
export const DO_NOTHING = { method: "pretrain", reweight: false };
export const RETRAIN = { method: "retrain", reweight: false };
export const GOLD = { method: "retrain", reweight: true };
export const same = (a, b) => a.method === b.method && a.reweight === b.reweight;

export const whoOf = (data, choice) => data.who.find(w => w.key === choice.who);
export const label = (data, { method, reweight }) =>
  data.methods[method].name + (reweight ? " + REWEIGHT" : "");

/** The runs of an arm, at one ratio or all; MIU's at one lambda or all. */
export function runsOf(data, choice, { method, reweight }, { ratio, lam } = {}) {
  return (data.runs.get(`${choice.who}/${method}/${+reweight}`) ?? []).filter(row =>
    (choice.seed === null || row.seed === choice.seed)
    && (ratio === undefined || row.ratio === ratio)
    && (method !== "miu" || lam === undefined || row.lam === lam));
}

/** The methods that were run for those who ask, each with what REWEIGHT was. */
export function computed(data, choice) {
  const ran = (method, reweight) => data.runs.has(`${choice.who}/${method}/${+reweight}`);
  return Object.fromEntries(Object.keys(data.methods)
    .map(method => [method, [false, true].filter(reweight => ran(method, reweight))])
    .filter(([, options]) => options.length));
}

/** All lambdas that MIU was run with for those who ask. */
export const lamsOf = (data, choice) => distinct([false, true].flatMap(reweight =>
  runsOf(data, { ...choice, seed: null }, { method: "miu", reweight })).map(row => row.lam));

/** The computed value nearest to the one chosen; of two as near, the lower. */
export function nearest(value, among) {
  const far = v => Math.round(Math.abs(v - value) * 1e9);
  return distinct(among).reduce((best, v) => far(v) < far(best) ? v : best);
}

/** The mean, and half of its 95 % interval: NaN of fewer values than an error bar needs. */
export function summary(data, values) {
  const n = values.length, mean = values.reduce((sum, v) => sum + v, 0) / n;
  const squares = values.reduce((sum, v) => sum + (v - mean) ** 2, 0);
  return { mean, n, half: n >= data.least ? data.t[n] * Math.sqrt(squares / (n - 1) / n) : NaN };
}

/** A choice that can be shown, and sentences about what of it could not be. */
export function settle(data, choice) {
  const said = [], possible = computed(data, choice);
  let { method, reweight } = choice;
  if (!(method in possible)) {
    said.push(`${label(data, { method })} was not run for ${whoOf(data, choice).name}, so RETRAIN is shown.`);
    method = "retrain";
  }
  if (!possible[method].includes(reweight)) {
    said.push(`${label(data, { method })} was not run ${reweight ? "with" : "without"} REWEIGHT for ` +
      `${whoOf(data, choice).name}, so it is shown ${reweight ? "without" : "with"} it.`);
    reweight = !reweight;
  }
  return { choice: { ...choice, method, reweight }, said };
}

/** Accuracy of each group with the whole network, before and after, at the computed ratio nearest to one. */
export function networkOf(data, who, asked, isGold) {
  const choice = { who, seed: null }, ratios = runsOf(data, choice, RETRAIN).map(row => row.ratio);
  if (!ratios.length) return { ratios };
  const ratio = nearest(asked, ratios);
  const of = arm => whoOf(data, choice).panel.map((_, g) => summary(data,
    runsOf(data, choice, arm, { ratio }).map(row => row.groups[g])));
  return { ratio, ratios, before: of(DO_NOTHING), after: of(RETRAIN), weighted: isGold ? of(GOLD) : null };
}

/** Everything that the page shows of a settled choice; fractions. */
export function find(data, choice) {
  const isMiu = choice.method === "miu", who = whoOf(data, choice), all = { ...choice, seed: null };
  const mine = runsOf(data, all, choice);
  const ratio = nearest(choice.ratio, mine.map(row => row.ratio));
  const lams = isMiu ? distinct(mine.filter(row => row.ratio === ratio).map(row => row.lam)) : [];
  const lam = isMiu ? nearest(choice.lam, lams) : null;
  const arms = [DO_NOTHING, RETRAIN, GOLD, choice]
    .filter((arm, i, list) => list.findIndex(a => same(a, arm)) === i)
    .map(({ method, reweight }) => ({ method, reweight, runs: runsOf(data, choice, { method, reweight },
      { ratio, lam: method === "miu" ? lam : undefined }) }));
  const runs = arm => arms.find(a => same(a, arm)).runs;
  const theory = runsOf(data, choice, { method: "theory", reweight: false }, { ratio });
  const groups = who.panel.map((name, i) => {
    const of = rows => summary(data, rows.map(row => row.groups[i]));
    return { name, asked: who.asked[i], before: of(runs(DO_NOTHING)), after: of(runs(choice)),
      gold: of(runs(GOLD)), theory: theory.length ? of(theory) : null };
  });
  for (const arm of arms) {
    arm.metrics = Object.fromEntries(data.metrics.map(m => [m, summary(data, arm.runs.map(row => row[m]))]));
    arm.distance = summary(data, distances(data, arm.runs, runs(GOLD)));
  }
  return { ...choice, ratio, lam, lams, ratios: distinct(mine.map(row => row.ratio)), who, groups,
    arms, isMiu, n: runs(choice).length,
    mine: arms.find(a => same(a, choice)), idle: arms[0], gold: arms.find(a => same(a, GOLD)),
    byRatio: byRatio(data, choice, arms, lam), byLam: isMiu ? byLam(data, choice, ratio) : null,
    curve: curveOf(data, choice, ratio, lam), asked: choice };
}

/** A run's distance from the gold standard of the same seed: the mean over metrics of what they differ by. */
export function distances(data, rows, gold) {
  return rows.map(row => {
    const twin = gold.find(g => g.seed === row.seed);
    return data.metrics.reduce((sum, m) => sum + Math.abs(row[m] - twin[m]), 0) / data.metrics.length;
  });
}

function byRatio(data, choice, arms, lam) {
  const of = { lam: lam ?? undefined };
  const series = arms.map(({ method, reweight }) => ({ method, reweight,
    points: along(data, "ratio", runsOf(data, choice, { method, reweight }, of), row => row.GA) }));
  const asked = whoOf(data, choice).asked.indexOf(true);
  const theory = runsOf(data, choice, { method: "theory", reweight: false });
  return { series, theory: along(data, "ratio", theory, row => row.groups[asked]) };
}

const byLam = (data, choice, ratio) =>
  along(data, "lam", runsOf(data, choice, choice, { ratio }), row => row.GA);

function along(data, setting, runs, value) {
  return distinct(runs.map(row => row[setting])).map(at => ({ at,
    ...summary(data, runs.filter(row => row[setting] === at).map(value)) }));
}

/** Epoch by epoch: means over seeds, of the course's settings alone; null if they were not kept. */
function curveOf(data, choice, ratio, lam) {
  const { who, method, reweight } = choice;
  if (who !== "smallest" || (method === "miu" && lam !== 1)) return null;
  const found = data.curves.find(c => c.method === method && c.reweight === +reweight && c.ratio === ratio);
  return found ? { UA: found.UA.map(v => v / data.fine), GA: found.GA.map(v => v / data.fine) } : null;
}

/** A list a group: of each picture, the share of the seeds whose model is right; null where none was kept. */
export function pictured(data, shown) {
  if (!data.pictures || shown.asked.who !== "smallest") return null;
  if (shown.isMiu && shown.lam !== 1) return null;
  const seeds = shown.seed === null ? data.seeds : [shown.seed];
  const answers = ({ method, reweight }) => {
    const lists = seeds.map(seed => Object.entries(data.pictures.right).find(([key]) => {
      const [m, r, ratio, s] = key.split("/");
      return m === method && +r === +reweight && +s === seed && (m === "pretrain" || +ratio === shown.ratio);
    })?.[1]);
    return lists.every(Boolean) ? lists[0].map((_, g) => [...lists[0][g]].map((_, i) =>
      lists.filter(list => list[g][i] === "+").length / lists.length)) : null;
  };
  const after = answers(shown);
  return after && { before: answers(DO_NOTHING), after };
}

const distinct = values => [...new Set(values)].sort((a, b) => a - b);
