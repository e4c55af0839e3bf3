// What the explorer's module shows of each of the choices on stdin, as JSON.
// Arguments: its sources' folder, the packed data.
import { readFileSync } from "node:fs";

const [folder, packed] = process.argv.slice(2);
const [{ unpack }, state, words] = await Promise.all(
  ["data", "state", "words"].map(name => import(`${folder}/${name}.js`)));
const data = await unpack(readFileSync(packed, "utf8"));
const { choices, hashes } = JSON.parse(readFileSync(0, "utf8"));
const arm = ({ metrics, distance }) => ({ metrics, distance });
console.log(JSON.stringify({
  shown: choices.map(asked => {
    const { choice, said } = state.settle(data, { ...state.START, ...asked });
    const shown = state.find(data, choice), link = words.hashOf(data, choice);
    const { ratio, lam, ratios, lams, n, groups, byRatio, byLam } = shown;
    return { choice, said, ratio, lam, ratios, lams, n, groups, byRatio, byLam,
      note: words.note(data, shown), title: words.title(data, shown), python: words.python(data, shown),
      mine: arm(shown.mine), idle: arm(shown.idle), gold: arm(shown.gold),
      pictures: state.pictured(data, shown), link, read: words.choiceOf(data, link).choice };
  }),
  read: hashes.map(hash => words.choiceOf(data, hash)),
}));
