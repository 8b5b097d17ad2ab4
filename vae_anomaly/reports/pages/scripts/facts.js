// What Python knows of this page: the JSON that stands in it.

let pageFacts = null;

/** Return the facts of the page; they are read once. */
export function readFacts() {
  pageFacts ??= JSON.parse(document.getElementById("facts").textContent);
  return pageFacts;
}
