// Elements, made and found. Text goes in as text, never as HTML.

/** Return the element of an id; it is an error if there is none. */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`this page has no element #${id}`);
  return found;
}

/**
 * Make an element: `element("a", { class: "link", href: "#top", dataset: { id } }, "text", child)`.
 * `on...` properties are listeners; `false`, `null` and `undefined` leave an attribute out.
 */
export function element(tag, properties = {}, ...children) {
  return filled(document.createElement(tag), properties, children);
}

/** Make an element of SVG, in the same way. */
export function svgElement(tag, properties = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), properties, children);
}

function filled(made, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value == null || value === false) continue;
    if (name === "dataset") Object.assign(made.dataset, value);
    else if (name.startsWith("on")) made.addEventListener(name.slice(2).toLowerCase(), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child != null && child !== false));
  return made;
}

/** Put other children into an element. */
export function refill(parent, ...children) {
  parent.replaceChildren(...children.filter((child) => child != null && child !== false));
}

/** Return an icon of the page's sprite; it is decoration, and says nothing to a screen reader. */
export function icon(name) {
  return svgElement(
    "svg",
    { class: "icon", "aria-hidden": "true", width: 16, height: 16 },
    svgElement("use", { href: `#icon-${name}` }),
  );
}

/** Say something to screen readers, in the page's one live region. */
export function announce(text) {
  byId("announcer").textContent = text;
}
