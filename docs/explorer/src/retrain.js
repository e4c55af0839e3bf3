// The view "Retrain it yourself": each move trains the last layer again, and everything is drawn from it.

import { html } from "lit-html";
import { Base } from "./base.js";
import { dots, legend, strip } from "./figures.js";
import { EXACT, FIRST, Layer, MOVING, NUMBERS, possible, weightsOf } from "./layer.js";
import { roundsOf, spiralPart } from "./spiral_view.js";
import { networkOf } from "./state.js";
import { count, percent, short } from "./words.js";

const WHO = { 0: "largest", 3: "smallest" };  // groups for which the whole network was retrained
const REACH = 10, SWEEP = 6000;  // largest score shown, milliseconds
const SHARE = { min: 0, max: 1, step: 0.01 };
const plural = name => name.replace(/^(ankle boot|sneaker)/, "$1s");

export class Retrain extends Base {
  read = hash => possible(Object.fromEntries(new URLSearchParams(hash.slice(1))));
  set = change => this.show({ ...this.choice, ...change });
  /** How many of 100 new pictures of the group a model classifies correctly. */
  of100 = ({ right }) => Math.round(100 * right[this.choice.group] / this.layer.tested);

  /** Train what a choice says, and draw it. */
  show(choice, said = []) {
    this.layer ??= new Layer(this.data);
    this.names = this.data.who[0].panel;
    Object.assign(this, { choice: possible(choice).choice, said });
    this.hash = "#" + new URLSearchParams({ v: this.data.version, view: "retrain", ...this.choice });
    this.isPlain = weightsOf(this.choice).every(v => v === 1);
    this.isStandard = this.isPlain && this.choice.l2 === FIRST.l2;  // as for the whole network
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
    this.rounds = roundsOf(this, converged === EXACT);
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
      if (this.active) this.set({ ratio: Math.round(100 * ratio) / 100 });
    };
    this.frame = stop ? null : requestAnimationFrame(step);
    this.draw();
  }

  /** Accuracies of five seeds' last layers, at the nearest tenth; of other settings there are none. */
  seeds(kind, g) {
    const { group, ratio, strength } = this.choice, { seeds, tested } = this.data.layer;
    const isShipped = this.isStandard && strength % 1 === 0;
    const tenth = kind === "before" ? 0 : Math.round(10 * ratio);
    return isShipped ? seeds[group][kind === "weighted" ? 1 : 0][tenth].map(right => right[g] / tested) : [];
  }

  /** What the model with weights has. */
  weighting() {
    const { isPlain, choice: { strength } } = this;
    const reweight = `REWEIGHT at ${strength === 1 ? "full strength" : `strength ${short(strength, 3)}`}`;
    return [!isPlain && "your weights", strength && reweight].filter(Boolean).join(" and ");
  }

  sentence() {
    const { choice: { group }, models, names, layer: { counts } } = this;
    const [before, after, weighted] = [models.before, models.after, this.final].map(m => this.of100(m));
    const than = by => by === 0 ? "as many as" : `${Math.abs(by)} ${by < 0 ? "fewer" : "more"} than`;
    const gain = after < before && weighted > after
      ? `which recovers ${Math.min(weighted, before) - after} of those ${before - after}.`
      : `${than(weighted - after)} without.`;
    return `Without ${count(models.forgotten)} of the ${count(counts[group])} pictures of ` +
      `${plural(names[group])}, the retrained last layer gets ${after} of 100 new ones right, ` +
      `${than(after - before)} if nothing is forgotten (${before}).` +
      (models.weighted ? ` With ${this.weighting()}, it gets ${weighted} right, ${gain}` : "") +
      (models.forgotten < counts[group] ? "" : " The group is gone: none of its pictures is left, so " +
        "REWEIGHT has nothing to weight. The accuracy that remains comes from the other groups.");
  }

  /** How far the result reaches, and further settings. */
  limits({ ratio, before, after, weighted }) {
    const { choice, models, names } = this, mean = rows => Math.round(100 * rows[choice.group].mean);
    const start = this.of100(models.before), end = this.of100(models.after);
    const isPart = ratio === choice.ratio && start - end < mean(before) - mean(after);
    return html`<p class="note"><strong>Last layer only.</strong> The other layers stay as they are. The
      deleted pictures helped to train them, so this is a fast approximation and not complete unlearning.
      ${before ? "If the whole network is retrained, the accuracy on this group goes from " +
        `${mean(before)} to ${mean(after)} %${weighted ? ` (REWEIGHT: to ${mean(weighted)} %)` : ""} at ` +
        `ratio ${ratio}${ratio === choice.ratio ? "" : ", the nearest that we ran"} (means of five seeds). ` +
        `The last layer alone starts from another value: it goes from ${start} to ${end} % here` +
        (isPart && end < start ? ", which is only part of that loss." : ".")
        : "We have not retrained the whole network with these settings."}</p>
      <details><summary>Weights of the groups, regularisation</summary><p class="note">The network is the
      original model of seed 0; its last layer is trained on the first 32 principal components of the
      features. Thin ticks in the figure are of seeds 0 to 4, at the nearest tenth of the ratio. Marks under
      the slider are ratios at which we retrained the whole network. REWEIGHT gives the remaining pictures of
      the group the weight of the deleted ones. Each picture counts with the weight of its group, times
      REWEIGHT's weight. A larger regularisation keeps the layer's own weights small.</p>
      <div class="controls four">${names.map((name, g) => this.range(`weight${g}`,
        `weight of ${plural(name)}`, { min: -1, max: 2, step: 0.05, ran: [0], isLog: true },
        `${short(weightsOf(choice)[g], 3)}, with REWEIGHT ${short(models.weights[g], 3)}`))}</div>
      <div class="controls">${this.range("l2", "regularisation of the last layer (L2)",
        { min: -6, max: -1, step: 0.1, ran: [-5], isLog: true })}</div></details>`;
  }

  view() {
    const { group, ratio, strength } = this.choice;
    const network = networkOf(this.data, this.isStandard && WHO[group], ratio, strength === 1);
    return html`${this.tabs()} ${this.controls(network)}
      ${this.said.map(sentence => html`<p class="warning">${sentence}</p>`)}
      <h2>${this.sentence()}</h2> ${this.limits(network)}
      <p class="unseen" role="status">${this.spoken}</p>
      <div class="figures">${this.figure(this.bars(network))} ${this.strip()}</div>
      ${this.pictures()} ${spiralPart(this)}
      <div class="actions">${this.copyLink(this.hash)}</div>`;
  }

  /** A slider of one setting; with `isLog`, it moves the logarithm. */
  range(name, words, { isLog, ...scale }, readout = short(this.choice[name], 3)) {
    const value = isLog ? Math.log10(this.choice[name]) : this.choice[name];
    return this.slider(name, words, { ran: [], ...scale, value }, readout, readout,
      v => this.set({ [name]: isLog ? Number((10 ** v).toPrecision(3)) : v }));
  }

  controls({ ratios }) {
    const { group, ratio } = this.choice, options = this.names.map((name, g) => [g, name]);
    return html`<fieldset class="controls ends"><legend class="unseen">What is retrained</legend>
      ${this.select("group", "group that requests deletion", options, group, v => this.set({ group: +v }))}
      ${this.range("ratio", "unlearning ratio (share of the group's pictures that are deleted)",
        { ...SHARE, ran: ratios }, ratio.toFixed(2))}
      ${this.range("strength", "strength of REWEIGHT (0: none, 1: old proportions)", SHARE)}</fieldset>
      <div class="actions"><button type="button" @click=${() => this.play()}>${this.frame ? "Pause"
        : "Play: sweep the ratio"}</button>
      <button type="button" @click=${() => this.show(FIRST)}>Reset</button></div>`;
  }

  bars(network) {
    const { models, names, width, hues, choice: { group }, layer: { tested } } = this;
    const kinds = [["before", "full", "nothing forgotten (same regularisation)"],
      ["after", "outlined", "retrained"], ["weighted", "full", `retrained with ${this.weighting()}`],
    ].filter(([kind]) => models[kind]);
    const part = (kind, g) => models[kind].right[g] / tested, predicted = g => models.predicted[g] / tested;
    const hue = (kind, g) => kind === "before" ? "var(--grey)" : hues[g], apart = network.before ? 24 : 16;
    const marks = (kind, g) => [...this.seeds(kind, g).map(mean => ({ kind: "seed", mean })),
      ...(network[kind] ? [{ kind: "network", ...network[kind][g] }] : []),
      ...(kind === "after" ? [{ kind: "predicted", mean: predicted(g) }] : [])];
    const placed = (i, mark) => ({ ...mark, shift: apart * i - 6 });
    const order = [group, ...NUMBERS.filter(g => g !== group)];
    const rows = order.map(g => ({ label: names[g] + (g === group ? " – forget group" : ""),
      strong: g === group, value: `${kinds.map(([kind]) => percent(part(kind, g))).join(" → ")} %`,
      bars: kinds.map(([kind, look], i) => placed(i, { kind: look, mean: part(kind, g), hue: hue(kind, g) })),
      marks: kinds.flatMap(([kind], i) => marks(kind, g).map(mark => placed(i, mark))) }));
    const entries = [...kinds.map(([kind, look, words]) => [look, words, hue(kind, group)]),
      this.seeds("after", 0).length && ["seed", "last layers of five networks (seeds)"],
      ["predicted", "predicted from the group's smaller share (lesson 10)"], network.before && ["network",
        `below each bar: the same with the whole network (ratio ${network.ratio}), mean, 95 % interval`]];
    return { key: "bars", title: "Test accuracy of every group (%)",
      said: "A group has one bar for each model, and its numbers are in the same order.",
      drawing: [legend(entries.filter(Boolean)),
        dots(rows, width, this.sentence(), { high: 12 + apart * kinds.length })],
      head: ["group", ...kinds.map(kind => kind[2]), "predicted", "whole network, in the same order"],
      body: order.map(g => [names[g], ...kinds.map(([kind]) => percent(part(kind, g))), percent(predicted(g)),
        kinds.map(([kind]) => network[kind] ? percent(network[kind][g].mean) : "–").join(" → ")]) };
  }

  /** Scores of the two groups on this ground, moved so that their mean stays where it was. */
  strip() {
    const { choice: { group }, models: { before }, final, names, width, hues, layer: { tested } } = this;
    const rows = [group % 2, group % 2 + 2].map(g => ({ label: names[g], hue: hues[g], g }));
    const part = (model, { g }) => model.logits.subarray(g * tested, (g + 1) * tested);
    const sum = model => rows.reduce((all, row) => part(model, row).reduce((a, b) => a + b, all), 0);
    const moved = (sum(before) - sum(final)) / 2 / tested;
    return html`<figure><figcaption><h3>Scores of new pictures ${names[group].replace(/^.* on/, "on")}</h3>
      <p class="said">Each point is a new picture; its score is how much the last layer favours
      <em>sneaker</em>. Points right of the solid line are classified as sneakers. Scores are shifted so that
      their mean stays in place, and those beyond an edge are drawn at the edge.</p></figcaption>
      <div class="plot">${strip(rows.map(row => ({ ...row, scores: part(final, row).map(z => z + moved) })),
        width, `The threshold moved by ${moved.toFixed(1)}.`, REACH, moved)}</div></figure>`;
  }

  pictures() {
    const { right, old, group } = this, many = right.filter(Boolean).length;
    const changed = to => right.filter((is, i) => is === to && is !== old[i]).length;
    return html`<h3>The first ${right.length} test pictures of the group: ${many} are correct</h3>
      <p class="note">✕: misclassified. Your last move (thick frames): <span class="mark wrong">
      ${changed(false)} newly wrong</span>, <span class="mark">${changed(true)} newly right (✓)</span>.</p>
      ${this.sheet(group, right.map((is, i) => `${is ? "" : "wrong"} ${is === old[i] ? "" : "changed"}`),
        `${many} of ${right.length} are correct, ${changed(true)} of them newly`)}`;
  }
}
