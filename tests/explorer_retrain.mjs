// The last layer that the explorer's module trains for each of the choices on stdin, as JSON.
// Arguments: its sources' folder, the packed data.
import { readFileSync } from "node:fs";

const [folder, packed] = process.argv.slice(2);
const [{ unpack }, { EXACT, Layer, MOVING, possible }, { spiral }] = await Promise.all(
  ["data", "layer", "spiral"].map(name => import(`${folder}/${name}.js`)));
const layer = new Layer(await unpack(readFileSync(packed, "utf8")));
const choices = JSON.parse(readFileSync(0, "utf8"));
const plain = model => model && { w: [...model.w], right: model.right };
console.log(JSON.stringify(choices.map(asked => {
  const { choice, said } = possible(asked);
  layer.converged = MOVING;
  const moving = layer.models(choice);
  layer.converged = EXACT;
  const { before, after, weighted, forgotten, predicted } = layer.models(choice);
  return { choice, said, forgotten, predicted, moving: plain(moving.weighted ?? moving.after),
    before: plain(before), after: plain(after), weighted: plain(weighted),
    spiral: choice.rounds ? spiral(layer, choice) : null };
})));
