// The view "Retrain it yourself" without its drawing: the choice, and the models that it trains. Groups are
// numbered 2 y + a; the features are those of seed 0 (data/results/last_layer.py).

import { Problem } from "./solver.js";

export const ROUNDS = 12, NUMBERS = [0, 1, 2, 3];
export const FIRST = { group: 3, ratio: 0.5, strength: 0, l2: 1e-5, weight0: 1, weight1: 1, weight2: 1,
  weight3: 1, rate: 0.6, rounds: 0 };
const WEIGHT = [0.1, 100], SHARE = [0, 1], WHOLE = ["group", "rounds"];
const LIMITS = { group: [0, 3], ratio: SHARE, strength: SHARE, l2: [1e-6, 0.1], weight0: WEIGHT,
  weight1: WEIGHT, weight2: WEIGHT, weight3: WEIGHT, rate: SHARE, rounds: [0, ROUNDS] };
const SIGNS = [-1, -1, 1, 1];
export const MOVING = 1e-7, EXACT = 1e-10;  // norm of the gradient per sample at which a model is trained

/** The nearest possible choice, and a sentence about each value that had to change. */
export function possible(asked) {
  const choice = { ...FIRST }, said = [];
  for (const [name, [low, high]] of Object.entries(LIMITS)) {
    if (!(name in asked)) continue;
    const number = String(asked[name]).trim() === "" ? NaN : Number(asked[name]);
    const near = Number.isNaN(number) ? choice[name] : Math.min(Math.max(number, low), high);
    choice[name] = WHOLE.includes(name) ? Math.round(near) : near;
    if (choice[name] !== number) {
      said.push(`The ${name} must be a number from ${low} to ${high}, but the link has ` +
        `“${String(asked[name]).slice(0, 20)}”, so the page shows ${choice[name]}.`);
    }
  }
  return { choice, said };
}

/** Each group's weight in a choice. */
export const weightsOf = choice => NUMBERS.map(g => choice[`weight${g}`]);

/** The models of one page; a solution starts from the last one of the same kind. */
export class Layer {
  constructor({ layer, bytes }) {
    const { counts, scale, tested } = layer;
    const starts = counts.reduce((sum, n) => [...sum, sum.at(-1) + n], [0]);
    const n = starts.at(-1), m = 4 * tested, wide = scale.length;
    const signed = new Int8Array(bytes.buffer, bytes.byteOffset, (n + m) * wide);
    this.problem = new Problem(samples(signed.subarray(0, n * wide), scale), starts, SIGNS);
    this.test = samples(signed.subarray(n * wide), scale);
    this.brick = bytes.subarray((n + m) * wide);
    Object.assign(this, { counts, tested, d: wide + 1, last: {}, converged: EXACT });
  }

  /** Weights of the samples of each group: the reader's, times REWEIGHT's (old over new size) to a power. */
  weights(choice, forgotten) {
    const left = g => this.counts[g] - forgotten[g] || this.counts[g];  // of a group that is gone: weight 1
    return weightsOf(choice).map((weight, g) => weight * (this.counts[g] / left(g)) ** choice.strength);
  }

  train(kind, setting) {
    const solution = this.problem.solve(this.last[kind] ?? this.last.before, setting, this.converged);
    this.last[kind] = solution;
    const logits = new Float64Array(4 * this.tested), { d, test } = this;
    for (let i = 0; i < logits.length; i++) {
      for (let j = 0; j < d; j++) logits[i] += solution.w[j] * test[i * d + j];
    }
    return { logits, w: solution.w, right: this.right(logits) };
  }

  right(logits) {
    return SIGNS.map((sign, g) =>
      logits.subarray(g * this.tested, (g + 1) * this.tested).reduce((sum, z) => sum + (sign * z > 0), 0));
  }

  /** The original model, the retrained one, and (null if the weights are all 1) the one with weights. */
  models(choice) {
    const { group, ratio, l2 } = choice, none = [0, 0, 0, 0], ones = [1, 1, 1, 1];
    const forgotten = NUMBERS.map(g => g === group ? Math.round(ratio * this.counts[g]) : 0);
    const weights = this.weights(choice, forgotten);
    const train = (kind, part) => this.train(kind, { forgotten, weights: ones, l2, ...part });
    const key = `${l2} ${this.converged}`;
    if (this.key !== key) Object.assign(this, { key, original: train("before", { forgotten: none }) });
    const before = this.original, after = train("after");
    const weighted = weights.every(v => v === 1) ? null : train("weighted", { weights });
    const predicted = this.right(before.logits.map((z, i) => z + this.shift(choice, i)));
    return { before, after, weighted, weights, forgotten: forgotten[group], predicted };
  }

  /** Change of a logit that the prior shift predicts: log(1 - r p(a | x, y)), towards the other class. */
  shift({ group, ratio }, i) {
    const y = group >> 1, brick = (this.brick[2 * i + y] + 0.5) / 256;
    return SIGNS[group] * Math.log(1 - ratio * (group % 2 ? brick : 1 - brick));
  }
}

/** Rows of bytes times the scale of their column, and a constant 1 at the end of each row. */
function samples(bytes, scale) {
  const wide = scale.length, d = wide + 1, x = new Float64Array(bytes.length / wide * d);
  for (let at = 0, i = 0; i < bytes.length; at += d, i += wide) {
    for (let j = 0; j < wide; j++) x[at + j] = bytes[i + j] * scale[j];
    x[at + wide] = 1;
  }
  return x;
}
