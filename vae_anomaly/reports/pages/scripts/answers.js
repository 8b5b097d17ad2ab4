// The three buttons that answer an item, wherever it is shown.

import { element, icon } from "./dom.js";
import { VERDICTS } from "./verdicts.js";

const ANSWER_ICONS = { confirmed: "check", "false alarm": "cross", unsure: "unsure" };
const ANSWER_WORDS = { confirmed: "Confirmed", "false alarm": "False alarm", unsure: "Unsure" };

/** Return the buttons of an item; a second press takes the answer back. */
export function answerButtons(id, store, given = (verdict) => store.give(id, verdict)) {
  const group = element("div", { class: "verdicts", role: "group", "aria-label": `Verdict on ${id}` });
  const press = (verdict) => given(store.verdictOf(id) === verdict ? "" : verdict);
  group.append(...VERDICTS.map((verdict, place) => answerButton(verdict, place + 1, press)));
  showAnswer(group, store.verdictOf(id));
  return group;
}

function answerButton(verdict, key, press) {
  return element(
    "button",
    {
      type: "button",
      class: "verdict",
      dataset: { verdict },
      title: `${ANSWER_WORDS[verdict]} (key ${key})`,
      "aria-keyshortcuts": String(key),
      onclick: () => press(verdict),
    },
    icon(ANSWER_ICONS[verdict]),
    element("span", { class: "verdict__word" }, ANSWER_WORDS[verdict]),
  );
}

/** Show which of the buttons is pressed. */
export function showAnswer(group, verdict) {
  for (const button of group.querySelectorAll(".verdict"))
    button.setAttribute("aria-pressed", String(button.dataset.verdict === verdict));
}
