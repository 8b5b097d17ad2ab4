// What the browser keeps for a page. Without storage a page works, and forgets.

const forgetful = new Map();

/** Read what was kept as JSON; `otherwise` where there is nothing, or nothing readable. */
export function kept(key, otherwise) {
  try {
    const text = localStorage.getItem(key) ?? forgetful.get(key);
    return text == null ? otherwise : JSON.parse(text);
  } catch {
    return forgetful.has(key) ? JSON.parse(forgetful.get(key)) : otherwise;
  }
}

/** Keep a value as JSON; tell whether it will still be there after a reload. */
export function keep(key, value) {
  const text = JSON.stringify(value);
  forgetful.set(key, text);
  try {
    localStorage.setItem(key, text);
    return true;
  } catch {
    return false;
  }
}
