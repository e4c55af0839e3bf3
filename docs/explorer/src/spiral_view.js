// The part of the view "Retrain it yourself" that plays the spiral.

import { html } from "lit-html";
import { lines } from "./figures.js";
import { NUMBERS, ROUNDS } from "./layer.js";
import { percent } from "./words.js";

export { spiral } from "./spiral.js";

const PAUSE = 400;  // milliseconds between two rounds
const SHARE = { min: 0, max: 1, step: 0.05, ran: [] };

/** One round after the other, until something else moves. */
function play(view, rounds) {
  view.set({ rounds });
  setTimeout(() => {
    if (view.active && view.choice.rounds === rounds && rounds < ROUNDS) play(view, rounds + 1);
  }, PAUSE);
}

export function spiralPart(view) {
  return html`<h3>The spiral: people leave more often if the model serves their group less well</h3>
    <p class="note">In every round, each member of a group requests deletion with probability rate × (error on
    new pictures of the group). Then the layer is retrained without them, with the weights above.</p>
    <div class="controls">${view.range("rate", "rate of leaving", SHARE)}</div>
    <div class="actions"><button type="button" @click=${() => play(view, 1)}>Play the spiral</button></div>
    ${view.rounds ? html`<div class="figures">${view.figure(panel(view))}</div>` : ""}`;
}

function panel({ rounds, names, width, choice: { group }, hues }) {
  const first = rounds[0], last = rounds.at(-1);
  return { key: "spiral", title: "Accuracy of every group, round by round (%)",
    said: `After round ${rounds.length - 1}, ${last.left[group]} of ${first.left[group]} members of ` +
      `“${names[group]}” are left, and the accuracy on new pictures of the group went from ` +
      `${percent(first.accuracy[group])} to ${percent(last.accuracy[group])} %.`,
    drawing: lines(NUMBERS.map(g => ({ kind: g === group ? "filled" : "plain", hue: hues[g],
      points: rounds.map(({ accuracy }, at) => ({ at, mean: accuracy[g] })) })), width, "Accuracy by round",
    { ticks: [0, 3, 6, 9, ROUNDS], place: v => v / ROUNDS, name: "round" }),
    head: ["round", ...names.map(name => `${name}: accuracy (%), members left`)],
    body: rounds.map(({ left, accuracy }, at) =>
      [String(at), ...NUMBERS.map(g => `${percent(accuracy[g])}, ${left[g]}`)]) };
}
