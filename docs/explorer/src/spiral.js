// The spiral (lesson 12): people leave more often if the model serves their group less well.

/** All rounds at once. */
export const spiral = (layer, choice) => [...turns(layer, choice)];

/**
 * Rounds in which each member of group g leaves with probability rate * (error on new pictures of g).
 * @yields  for each round from 0: {left, accuracy}, by group.
 */
export function* turns(layer, choice) {
  const random = generator(1), forgotten = [0, 0, 0, 0];
  layer.last.spiral = layer.last.before;  // nearer to round 0 than the last round of an earlier spiral
  for (let round = 0; round <= choice.rounds; round++) {
    const setting = { forgotten, weights: layer.weights(choice, forgotten), l2: choice.l2 };
    const accuracy = layer.train("spiral", setting).right.map(k => k / layer.tested);
    const left = layer.counts.map((n, g) => n - forgotten[g]);
    yield { left, accuracy };
    left.forEach((n, g) => {
      for (let i = 0; i < n; i++) forgotten[g] += random() < choice.rate * (1 - accuracy[g]);
    });
  }
}

/** Random numbers in [0, 1), the same ones every time (a linear congruential generator). */
function generator(seed) {
  return () => {
    seed = (1664525 * seed + 1013904223) % 2 ** 32;
    return seed / 2 ** 32;
  };
}
