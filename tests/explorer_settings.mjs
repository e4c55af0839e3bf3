// What the explorer's module shows of each of the choices on stdin, as JSON. First argument: its sources' folder.
import { readFileSync } from "node:fs";

const [folder, packed] = process.argv.slice(2);
const [{ unpack }, state, words] = await Promise.all(["data", "state", "words"].map(name => import(`${folder}/${name}.js`)));
const data = await unpack(readFileSync(packed, "utf8"));
const { choices, hashes } = JSON.parse(readFileSync(0, "utf8"));
const arm = ({ metrics, distance }) => ({ metrics, distance });
console.log(JSON.stringify({
  shown: choices.map(asked => {
    const { choice, said } = state.settle(data, { ...state.START, ...asked });
    const shown = state.find(data, choice);
    return { said, note: words.note(data, shown), title: words.title(data, shown), python: words.python(data, shown),
      ratio: shown.ratio, lam: shown.lam, n: shown.n, groups: shown.groups, mine: arm(shown.mine), idle: arm(shown.idle),
      gold: arm(shown.gold), link: words.hashOf(data, choice), read: words.choiceOf(data, words.hashOf(data, choice)).choice,
      choice, pictures: state.pictured(data, shown), byRatio: shown.byRatio, byLam: shown.byLam };
  }),
  read: hashes.map(hash => words.choiceOf(data, hash)),
}));
