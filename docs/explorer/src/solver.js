// Logistic regression on a few thousand samples, solved again after every move. For weights v_i, it minimises
//
//   J(w) = sum_i v_i log(1 + exp(-s_i w.x_i)) / sum_i v_i + l2 |w|^2 / 2,   s_i = 1 for class 1, else -1.
//
// The steps are L-BFGS steps (Nocedal and Wright, Algorithm 7.4) that start from the Cholesky factor of an
// earlier Hessian. The Hessian is factorised again only if convergence is slow.

const SLOW = 5, MOST = 200, KEPT = 12;  // steps before a new factor, before giving up, kept for the next move

/** The samples group by group, each group in the order in which its samples are forgotten. */
export class Problem {
  /**
   * @param x  (n * d) features, row by row.
   * @param starts  first row of each group, and at the end n.
   * @param signs  s of each group.
   */
  constructor(x, starts, signs) {
    Object.assign(this, { x, starts, signs, d: x.length / starts.at(-1) });
    this.curvature = new Float64Array(starts.at(-1));
  }

  /** Objective and gradient at w; the second derivatives of the losses are kept in `curvature`. */
  evaluate(w, { forgotten, weights, l2 }) {
    const { x, d, starts, signs, curvature } = this, gradient = new Float64Array(d);
    let objective = 0, total = 0;
    for (let g = 0; g < signs.length; g++) {
      const sign = signs[g], weight = weights[g];
      total += weight * (starts[g + 1] - starts[g] - forgotten[g]);
      for (let i = starts[g] + forgotten[g], at = i * d; i < starts[g + 1]; i++, at += d) {
        let margin = 0;
        for (let j = 0; j < d; j++) margin += w[j] * x[at + j];
        const e = Math.exp(-Math.abs(margin)), wrong = (sign * margin > 0 ? e : 1) / (1 + e);
        objective += weight * (Math.log1p(e) + Math.max(0, -sign * margin));
        curvature[i] = weight * wrong * (1 - wrong);
        const slope = -weight * sign * wrong;
        for (let j = 0; j < d; j++) gradient[j] += slope * x[at + j];
      }
    }
    objective /= total;
    for (let j = 0; j < d; j++) {
      gradient[j] = gradient[j] / total + l2 * w[j];
      objective += l2 * w[j] * w[j] / 2;
    }
    return { w, objective, gradient, total };
  }

  /** The Cholesky factor of the Hessian where `evaluate` was last called. */
  factorise({ total }, { forgotten, l2 }) {
    const { x, d, starts, curvature } = this, factor = new Float64Array(d * d);
    for (let g = 0; g + 1 < starts.length; g++) {
      for (let i = starts[g] + forgotten[g], at = i * d; i < starts[g + 1]; i++, at += d) {
        for (let j = 0; j < d; j++) {
          const c = curvature[i] * x[at + j];
          for (let k = 0; k <= j; k++) factor[j * d + k] += c * x[at + k];
        }
      }
    }
    for (let j = 0; j < d; j++) {
      for (let k = 0; k <= j; k++) {
        let sum = factor[j * d + k] / total + (j === k ? l2 : 0);
        for (let m = 0; m < k; m++) sum -= factor[j * d + m] * factor[k * d + m];
        factor[j * d + k] = j === k ? Math.sqrt(sum) : sum / factor[k * d + k];
      }
    }
    return factor;
  }

  /**
   * Solve from an earlier solution.
   * @param from  what an earlier call returned, or undefined.
   * @param setting  forgotten: samples of each group that are left out.  weights: of a sample, by group.  l2.
   * @param converged  norm of the gradient per sample at which to stop.
   * @returns  {w, factor, pairs}: the weights (d), and what a later call starts from.
   */
  solve(from, setting, converged) {
    let { w = new Float64Array(this.d), factor, pairs = [] } = from ?? {}, now = this.evaluate(w, setting);
    for (let step = 0, since = 0; norm(now.gradient) > converged && step < MOST; step++, since++) {
      if (!factor || since === SLOW) {
        [factor, pairs, since] = [this.factorise(now, setting), [], 0];
      }
      const along = direction(now.gradient, factor, pairs);
      let next, size = 1;
      do {
        next = this.evaluate(now.w.map((v, j) => v - size * along[j]), setting);
        size /= 4;
      } while (next.objective > now.objective + 1e-13 && size > 1e-6);
      const moved = minus(next.w, now.w), bent = minus(next.gradient, now.gradient);
      if (dot(moved, bent) > 0) pairs.push({ moved, bent, rho: 1 / dot(moved, bent) });
      now = next;
    }
    return { w: now.w, factor, pairs: pairs.slice(-KEPT) };
  }
}

const dot = (a, b) => a.reduce((sum, v, j) => sum + v * b[j], 0);
const minus = (a, b) => a.map((v, j) => v - b[j]);
const norm = a => Math.sqrt(dot(a, a));

/** The two loops of L-BFGS, with the factor's Hessian between them. */
function direction(gradient, factor, pairs) {
  const q = gradient.slice(), d = q.length, add = (by, v) => v.forEach((value, j) => { q[j] += by * value; });
  const taken = pairs.toReversed().map(({ moved, bent, rho }) => {
    const share = rho * dot(moved, q);
    add(-share, bent);
    return share;
  }).reverse();
  for (let j = 0; j < d; j++) {
    for (let k = 0; k < j; k++) q[j] -= factor[j * d + k] * q[k];
    q[j] /= factor[j * d + j];
  }
  for (let j = d - 1; j >= 0; j--) {
    for (let k = j + 1; k < d; k++) q[j] -= factor[k * d + j] * q[k];
    q[j] /= factor[j * d + j];
  }
  pairs.forEach(({ moved, bent, rho }, i) => add(taken[i] - rho * dot(bent, q), moved));
  return q;
}
