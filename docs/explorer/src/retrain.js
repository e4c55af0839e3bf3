// The view "Retrain it yourself": each move trains the last layer again, and everything is drawn from it.

import { html, svg } from "lit-html";
import { Base } from "./base.js";
import { dots, sprite } from "./figures.js";
import { EXACT, FIRST, Layer, MOVING, NUMBERS, possible, weightsOf } from "./layer.js";
import { spiral, spiralPart } from "./spiral_view.js";
import { DO_NOTHING, GOLD, RETRAIN, nearest, runsOf, summary } from "./state.js";
import { percent, short } from "./words.js";

const WHO = { 0: "largest", 3: "smallest" };  // groups for which the whole network was retrained
const EDGE = 8, REACH = 10, SWEEP = 6000;  // pixels beside a drawing, largest score shown, milliseconds
const plural = name => name.replace(/^(ankle boot|sneaker)/, "$1s");

export class Retrain extends Base {
  read = hash => possible(Object.fromEntries(new URLSearchParams(hash.slice(1))));
  set = change => this.show({ ...this.choice, rounds: 0, ...change });
  /** How many of 100 new pictures of the group a model classifies correctly. */
  of100 = ({ right }) => Math.round(100 * right[this.choice.group] / this.layer.tested);

  constructor(root, options) {
    super(root, null);
    Object.assign(this, options);
    this.names = this.data.who[0].panel;
  }

  /** Train what a choice says, and draw it. */
  show(choice, said = []) {
    this.layer ??= new Layer(this.data);
    Object.assign(this, { choice: possible(choice).choice, said });
    this.hash = "#" + new URLSearchParams({ v: this.data.version, view: "retrain", ...this.choice });
    this.hues = NUMBERS.map(g => g === this.choice.group ? "var(--asks)" : this.data.colours[g]);
    const { group } = this.choice, then = this.right;
    this.train(MOVING);
    const old = this.group !== group ? this.right : this.rested ? then : this.old;
    Object.assign(this, { old, group, rested: false });
    this.moved();
  }

  train(converged) {
    const start = performance.now(), { group } = this.choice, first = group * this.layer.tested;
    this.layer.converged = converged;
    this.models = this.layer.models(this.choice);
    this.final = this.models.weighted ?? this.models.after;
    this.rounds = this.choice.rounds ? spiral(this.layer, this.choice) : null;
    this.root.dataset.milliseconds = performance.now() - start;
    const scores = this.final.logits.subarray(first, first + this.data.pictures.shown);
    this.right = Array.from(scores, z => (z > 0) === (group > 1));
  }

  rest() {
    this.train(EXACT);
    this.rested = true;  // the next move is a new one: pictures are compared with how they are now
    this.address(this.hash);
    this.spoken = [...this.said, this.sentence()].join(" ");
    this.onchange({ view: "retrain", ...this.choice });
    this.draw();
  }

  /** Sweep the ratio, from 0 if it is 1; a second press pauses. */
  play() {
    cancelAnimationFrame(this.frame);
    const from = this.choice.ratio % 1, start = performance.now(), stop = this.frame;
    const step = time => {
      const ratio = Math.min(from + Math.max(time - start, 0) / SWEEP, 1);
      this.frame = this.active && ratio < 1 ? requestAnimationFrame(step) : null;
      if (this.active) this.set({ ratio: Math.round(1000 * ratio) / 1000 });
    };
    this.frame = stop ? null : requestAnimationFrame(step);
    this.draw();
  }

  /** Accuracy of each group after the whole network was retrained with five seeds, at the nearest ratio. */
  network() {
    const choice = { who: WHO[this.choice.group], seed: null };
    const ratios = runsOf(this.data, choice, RETRAIN).map(row => row.ratio);
    if (!ratios.length) return { ratios };
    const ratio = nearest(this.choice.ratio, ratios);
    const of = arm => NUMBERS.map(g => summary(this.data,
      runsOf(this.data, choice, arm, { ratio }).map(row => row.groups[g])));
    const isGold = this.choice.strength === 1 && weightsOf(this.choice).every(v => v === 1);
    return { ratio, ratios, before: of(DO_NOTHING), after: of(RETRAIN), weighted: isGold ? of(GOLD) : null };
  }

  /** Accuracies of five seeds' last layers, at the nearest tenth; of other settings there are none. */
  seeds(kind, g) {
    const { group, ratio, strength, l2 } = this.choice, { seeds, tested } = this.data.layer;
    const isShipped = l2 === FIRST.l2 && weightsOf(this.choice).every(v => v === 1) && strength % 1 === 0;
    const tenth = kind === "before" ? 0 : Math.round(10 * ratio);
    return isShipped ? seeds[group][kind === "weighted" ? 1 : 0][tenth].map(right => right[g] / tested) : [];
  }

  sentence() {
    const { choice: { group, strength }, models, names, layer: { counts } } = this;
    const [before, after, weighted] = [models.before, models.after, this.final].map(m => this.of100(m));
    const than = by => by === 0 ? "as many as" : `${Math.abs(by)} ${by < 0 ? "fewer" : "more"} than`;
    const what = weightsOf(this.choice).some(v => v !== 1) ? "With your weights"
      : `With REWEIGHT at ${strength === 1 ? "full strength" : `strength ${short(strength, 3)}`}`;
    const gain = after < before && weighted > after
      ? `which recovers ${Math.min(weighted, before) - after} of those ${before - after}.`
      : `${than(weighted - after)} without.`;
    return `Without ${models.forgotten} of the ${counts[group].toLocaleString("en")} pictures of ` +
      `${plural(names[group])}, the retrained last layer gets ${after} of 100 new ones right, ` +
      `${than(after - before)} before.` +
      (models.weighted ? ` ${what}, it gets ${weighted} right, ${gain}` : "") +
      (models.forgotten < counts[group] ? "" : " The group is gone: no picture is left to be weighted.");
  }

  limits({ ratio, before, after }) {
    const { choice: { group }, models } = this, mean = rows => Math.round(100 * rows[group].mean);
    const change = v => `${v < 0 ? "−" : "+"}${Math.abs(v)}`;
    return html`<p class="note"><strong>Last layer only.</strong> This page retrains the last layer of one
      network (seed 0) on the first 32 principal components of its features. All pictures, including the
      forgotten ones, have shaped these features, so this is not unlearning. ${before
        ? `Retraining the whole network at ratio ${ratio} changes the accuracy on this group by ` +
          `${change(mean(after) - mean(before))} points (mean of five seeds); retraining the last layer ` +
          `changes it by ${change(this.of100(models.after) - this.of100(models.before))} here.`
        : "We have not retrained the whole network for this group."}</p>`;
  }

  view() {
    const network = this.network();
    return html`${this.tabs()} ${this.controls(network)}
      ${this.said.map(sentence => html`<p class="warning">${sentence}</p>`)}
      <h2>${this.sentence()}</h2> ${this.limits(network)}
      <p class="unseen" role="status">${this.spoken}</p>
      <div class="figures">${this.figure(this.bars(network))} ${this.strip()}</div>
      ${this.pictures()} ${spiralPart(this)}
      <div class="actions">${this.copyLink(this.hash)}</div>`;
  }

  range(name, words, scale, isLog = false) {
    const value = this.choice[name], number = v => isLog ? Number((10 ** v).toPrecision(3)) : v;
    return this.slider(name, words, { ...scale, value: isLog ? Math.log10(value) : value }, short(value, 3),
      short(value, 3), v => this.set({ [name]: number(v) }));
  }

  controls({ ratios }) {
    const { choice, names } = this, share = { min: 0, max: 1, step: 0.01, ran: [] };
    return html`<fieldset class="controls"><legend class="unseen">What is retrained</legend>
      ${this.select("group", "group that requests deletion", names.map((name, g) => [g, name]), choice.group,
        v => this.set({ group: Number(v) }))}
      ${this.range("ratio", "unlearning ratio", { ...share, ran: ratios })}
      ${this.range("strength", "strength of REWEIGHT", share)}
      ${this.range("l2", "regularisation (L2)", { min: -6, max: -1, step: 0.1, ran: [-5] }, true)}</fieldset>
      <details><summary>Weights of the four groups</summary>
      <p class="note">Each picture counts with the weight of its group, times REWEIGHT's weight.</p>
      <div class="controls">${names.map((name, g) => this.range(`weight${g}`, `weight of ${plural(name)}`,
        { min: -1, max: 2, step: 0.05, ran: [0] }, true))}</div></details>
      <div class="actions"><button type="button" @click=${() => this.play()}>${this.frame ? "Pause"
        : "Play: sweep the ratio"}</button>
      <button type="button" @click=${() => this.show(FIRST)}>Reset</button></div>`;
  }

  bars(network) {
    const { models, names, width, choice: { group } } = this, { tested } = this.layer;
    const kinds = ["before", "after", "weighted"].filter(kind => models[kind]);
    const part = (kind, g) => models[kind].right[g] / tested, predicted = g => models.predicted[g] / tested;
    const bar = (kind, g, i) => ({ kind: kind === "after" ? "outlined" : "full", mean: part(kind, g),
      hue: kind === "before" ? "var(--grey)" : this.hues[g], shift: 16 * i - 6 });
    const marks = (kind, g, i) => [...this.seeds(kind, g).map(mean => ({ kind: "seed", mean })),
      ...(network[kind] ? [{ kind: "network", ...network[kind][g] }] : []),
      ...(kind === "after" ? [{ kind: "predicted", mean: predicted(g) }] : [])]
      .map(mark => ({ ...mark, shift: 16 * i - 6 }));
    const said = "Grey bar: original layer; outlined bar: retrained; dashed line: prediction of prior shift" +
      (models.weighted ? "; coloured bar: with weights" : "") +
      (this.seeds("after", 0).length ? "; thin ticks: last layers of five seeds" : "") +
      (network.before ? `; thick ticks: whole network at ratio ${network.ratio}, 95 % intervals.` : ".");
    const rows = names.map((name, g) => ({ label: name + (g === group ? " – forget group" : ""),
      strong: g === group, value: `${kinds.map(kind => percent(part(kind, g))).join(" → ")} %`,
      bars: kinds.map((kind, i) => bar(kind, g, i)), marks: kinds.flatMap((kind, i) => marks(kind, g, i)) }));
    return { key: "bars", title: "Test accuracy of every group (%)", said,
      drawing: dots(rows, width, this.sentence(), { high: 20 + 16 * kinds.length }),
      head: ["group", ...kinds.map(kind => `${kind} (%)`), "predicted after (%)", "whole network, after (%)"],
      body: names.map((name, g) => [name, ...kinds.map(kind => percent(part(kind, g))), percent(predicted(g)),
        network.after ? percent(network.after[g].mean) : "–"]) };
  }

  /** Scores of the two groups on this ground, moved so that their mean stays where it was. */
  strip() {
    const { choice: { group }, models: { before }, final, names, width, hues, layer: { tested } } = this;
    const rows = [group % 2, group % 2 + 2];
    const index = rows.map(g => Array.from({ length: tested }, (_, i) => g * tested + i));
    const moved = index.flat().reduce((sum, i) => sum + before.logits[i] - final.logits[i], 0) / 2 / tested;
    const x = v => EDGE + (Math.min(Math.max(v / REACH, -1), 1) + 1) / 2 * (width - 2 * EDGE);
    const point = (i, row) => [x(final.logits[i] + moved), 26 + 90 * row + 52 * (0.618 * i % 1)];
    const points = row => index[row].map(i => `M${point(i, row).map(v => v.toFixed(1))}h0`).join("");
    const words = [["← boot", 0, "start"], ["old threshold", x(0), "middle"], ["sneaker →", width, "end"]];
    return html`<figure><figcaption><h3>Scores of new pictures ${names[group].replace(/^.* on/, "on")}</h3>
      <p class="said">Pictures to the right of the line are classified as sneakers. As you retrain the layer,
      the line moves; the mean of the points is kept in place.</p></figcaption><div class="plot">
      <svg role="img" viewBox="0 0 ${width} 196" aria-label="The threshold moved by ${moved.toFixed(1)}.">
      ${rows.map((g, row) => svg`<text class="label" x="0" y=${14 + 90 * row}>${names[g]}</text>
        <path class="dots" style="--hue:${hues[g]}" d=${points(row)}/>`)}
      <path class="was" d="M${x(0)} 4V176"/><path class="threshold" d="M${x(moved)} 4V176"/>
      ${words.map(([text, at, anchor]) =>
        svg`<text class="tick" x=${at} y="192" text-anchor=${anchor}>${text}</text>`)}</svg></div></figure>`;
  }

  pictures() {
    const { right, old, group, data } = this, many = right.filter(Boolean).length;
    return html`<h3>The first ${right.length} test pictures of the group: ${many} are correct</h3>
      <p class="note">✕ marks misclassified pictures; a thick frame, those that your last move changed.</p>
      <div class="sheet" style="--sprite:url(${this.sprite ??= sprite(data.pictures)})" role="img"
        aria-label="${many} of ${right.length} are correct">
        ${right.map((is, i) => this.picture(group, i,
          `${is ? "" : "wrong"} ${is === old[i] ? "" : "changed"}`))}</div>`;
  }
}
