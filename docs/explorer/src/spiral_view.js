// The part of the view "Retrain it yourself" that plays the spiral.

import { html } from "lit-html";
import { lines } from "./figures.js";
import { MOVING, NUMBERS, ROUNDS, weightsOf } from "./layer.js";
import { turns } from "./spiral.js";
import { count, percent } from "./words.js";

const PAUSE = 400;  // milliseconds between two rounds
const AT_ONCE = 3;  // rounds that are computed in one frame
const SHARE = { min: 0, max: 1, step: 0.05 };

/** One round after the other, until the last one, a pause or a reset. */
function play(view, rounds) {
  view.turning = setTimeout(() => {
    view.turning = null;
    if (view.active && view.choice.rounds === rounds && rounds < ROUNDS) play(view, rounds + 1);
    else view.draw();
  }, PAUSE);
  view.set({ rounds });
}

function press(view) {
  if (!view.turning) {
    play(view, view.choice.rounds % ROUNDS + 1);
    return;
  }
  clearTimeout(view.turning);
  view.turning = null;
  view.draw();
}

/** Compute the next rounds, and the others in the next frames. */
function advance(view) {
  for (let n = 0; n < AT_ONCE && view.turns; n++) {
    view.layer.converged = MOVING;
    const { value, done } = view.turns.next();
    if (done) view.turns = null;
    else view.spiral.push(value);
  }
  if (view.turns) {
    requestAnimationFrame(() => {
      view.rounds = roundsOf(view, false);
      if (view.active) view.draw();
    });
  }
}

/** The rounds that a view shows; all are computed once, and again when a changed setting is at rest. */
export function roundsOf(view, isAtRest) {
  const { choice, layer } = view;
  if (!choice.rounds) return null;
  const key = [choice.rate, choice.strength, choice.l2, ...weightsOf(choice)].join();
  if (view.spiralKey !== key && (isAtRest || !view.rounds)) {
    Object.assign(view, { spiralKey: key, spiral: [], turns: turns(layer, { ...choice, rounds: ROUNDS }) });
    advance(view);
  } else if (view.turns) advance(view);
  return view.spiral.slice(0, choice.rounds + 1);
}

export function spiralPart(view) {
  return html`<h3>The spiral: people leave more often if the model serves their group less well</h3>
    <p class="note">Each picture belongs to one member. The spiral starts with all members, whatever the ratio
    above. In every round, members of all groups may leave: each with probability = rate × (error on new
    pictures of the group). Then the last layer is retrained without them, with REWEIGHT, the weights and the
    regularisation as set above. One random draw decides who leaves; lesson 12 shows the spread over
    several draws. If you change a setting, all rounds are computed again once it stops moving.</p>
    <div class="controls">${view.range("rate", "rate of leaving", SHARE)}</div>
    <div class="actions"><button type="button" @click=${() => press(view)}>${view.turning ? "Pause"
      : "Play the spiral"}</button></div>
    ${view.rounds ? html`<div class="figures">${view.figure(panel(view))}</div>` : ""}`;
}

function panel({ rounds, names, width, choice: { group }, hues }) {
  const first = rounds[0], last = rounds.at(-1);
  const left = g => `${count(last.left[g])} of ${count(first.left[g])} left`;
  const others = round => count(round.left.reduce((sum, n) => sum + n, 0) - round.left[group]);
  return { key: "spiral", title: "Accuracy of every group, round by round (%)",
    said: `After round ${rounds.length - 1}, ${count(last.left[group])} of ${count(first.left[group])} ` +
      `members of “${names[group]}” are left, and the accuracy on new pictures of the group went from ` +
      `${percent(first.accuracy[group])} to ${percent(last.accuracy[group])} %. The model also changes ` +
      `because people of the other groups leave: ${others(last)} of ${others(first)} are left.`,
    drawing: lines(NUMBERS.map(g => ({ kind: g === group ? "filled" : "plain", hue: hues[g],
      points: rounds.map(({ accuracy }, at) => ({ at, mean: accuracy[g] })), end: [names[g], left(g)] })),
    width, "Accuracy by round", { ticks: [0, 3, 6, 9, ROUNDS], place: v => v / ROUNDS, name: "round" }),
    head: ["round", ...names.map(name => `${name}: accuracy (%), members left`)],
    body: rounds.map((round, at) =>
      [String(at), ...NUMBERS.map(g => `${percent(round.accuracy[g])}, ${count(round.left[g])}`)]) };
}
