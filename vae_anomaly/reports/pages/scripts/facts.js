// What Python knows of this page: the JSON that stands in it.

/** Return the facts of the page. */
export function readFacts() {
  return JSON.parse(document.getElementById("facts").textContent);
}
