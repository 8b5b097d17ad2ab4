// Which items are shown, and in what order.

export const GROUPS = ["flagged", "near_miss", "audit"];

/** Return the group that an item is shown in: the first of its roles. */
export function groupOf(item) {
  return GROUPS.find((group) => item.roles.includes(group)) ?? (item.is_anomaly ? "flagged" : "near_miss");
}

/** Say whether an item was drawn at random from all that were not flagged. */
export function isAudit(item) {
  return item.roles.includes("audit");
}

/** Return the largest region of an image with its size in pixels, or null. */
export function largestRegion(image) {
  const sized = (image?.regions ?? []).map((one) => ({
    ...one,
    width: one.right - one.left,
    height: one.bottom - one.top,
  }));
  const area = (one) => one.width * one.height;
  return sized.reduce((best, one) => (best === null || area(one) > area(best) ? one : best), null);
}

/** Return the longer side of the largest region, in pixels of the image. */
export function regionSide(item) {
  const region = largestRegion(item.image);
  return region === null ? 0 : Math.max(region.width, region.height);
}

/** Return what one column adds to the score of a row; 0 where it is not among those kept. */
export function contributionOf(item, column) {
  return item.row?.contributions.find((one) => one.column === column)?.nats ?? 0;
}

/** Return the columns that add to the scores of rows, those that add most first. */
export function columnsOf(items) {
  const sums = new Map();
  for (const item of items)
    for (const one of item.row?.contributions ?? [])
      sums.set(one.column, (sums.get(one.column) ?? 0) + Math.max(one.nats ?? 0, 0));
  return [...sums].sort((a, b) => b[1] - a[1]).map(([column]) => column);
}

/** Return the folders of images with the number of items in each, by name. */
export function foldersOf(items) {
  const counts = new Map();
  for (const item of items)
    if (item.image) counts.set(item.image.folder, (counts.get(item.image.folder) ?? 0) + 1);
  return [...counts].sort((a, b) => (a[0] < b[0] ? -1 : 1));
}

/** Say whether an item is asked for; `wish` as the filters of the page give it. */
export function isAskedFor(item, wish, verdict) {
  return (
    (wish.group === "" || item.roles.includes(wish.group) || groupOf(item) === wish.group) &&
    (wish.folder === null || item.image?.folder === wish.folder) &&
    regionSide(item) >= wish.side &&
    (wish.verdict === "" || wish.verdict === (verdict || "none")) &&
    (wish.text === "" || searchable(item).includes(wish.text.toLowerCase()))
  );
}

function searchable(item) {
  return [item.id, ...item.reasons].join("\n").toLowerCase();
}

/** Say whether what verdicts have taught is known of some items. */
export function isLearned(items) {
  return items.some((item) => item.learned != null);
}

/** Return items in the order that is asked for: `learned`, `score`, `side`, `id`, or `column:NAME`. */
export function inOrder(items, order) {
  const value = valueToOrderBy(order);
  if (order === "id") return [...items].sort((a, b) => NATURAL.compare(a.id, b.id));
  return [...items].sort((a, b) => value(b) - value(a) || scoreOf(b) - scoreOf(a));
}

const NATURAL = new Intl.Collator("en", { numeric: true });

function valueToOrderBy(order) {
  if (order === "side") return regionSide;
  if (order === "learned") return (item) => item.learned ?? 0;
  if (order.startsWith("column:")) return (item) => contributionOf(item, order.slice("column:".length));
  return scoreOf;
}

function scoreOf(item) {
  return item.score ?? Number.MAX_VALUE; // the page's JSON knows no infinite number
}
