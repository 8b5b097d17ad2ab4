// The three buttons that answer an item, wherever it is shown.

import { element, icon } from "./dom.js";
import { VERDICTS } from "./verdicts.js";

const ANSWER_ICONS = { confirmed: "check", "false alarm": "cross", unsure: "unsure" };
const ANSWER_WORDS = { confirmed: "Confirmed", "false alarm": "False alarm", unsure: "Unsure" };

let answerModel = null; // copied for each item: there may be hundreds

/** Return the buttons of an item; a second press takes the answer back. */
export function answerButtons(id, store, given = (verdict) => store.give(id, verdict)) {
  answerModel ??= element("div", { class: "verdicts", role: "group" }, ...VERDICTS.map(answerButton));
  const group = answerModel.cloneNode(true);
  group.setAttribute("aria-label", `Verdict on ${id}`);
  group.addEventListener("click", (event) => {
    const pressed = event.target.closest(".verdict")?.dataset.verdict;
    if (pressed) given(store.verdictOf(id) === pressed ? "" : pressed);
  });
  showAnswer(group, store.verdictOf(id));
  return group;
}

function answerButton(verdict, place) {
  const key = String(place + 1);
  const title = `${ANSWER_WORDS[verdict]} (key ${key})`;
  return element(
    "button",
    { type: "button", class: "verdict", dataset: { verdict }, title, "aria-keyshortcuts": key },
    icon(ANSWER_ICONS[verdict]),
    element("span", { class: "verdict__word" }, ANSWER_WORDS[verdict]),
  );
}

/** Show which of the buttons is pressed. */
export function showAnswer(group, verdict) {
  for (const button of group.querySelectorAll(".verdict"))
    button.setAttribute("aria-pressed", String(button.dataset.verdict === verdict));
}
