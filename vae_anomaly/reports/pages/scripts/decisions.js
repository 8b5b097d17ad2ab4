// The two files that a reviewer takes along: the decisions, and the list of what was flagged.

import { csvText, harmlessCell } from "./csv.js";
import { isAudit, largestRegion } from "./ordering.js";

/** Return decisions.csv, as `vae-anomaly feedback import` reads it: unsure has an empty verdict. */
export function decisionsCsv(items, store) {
  const judged = items.filter((item) => store.verdictOf(item.id) !== "");
  const drawn = new Set(judged.filter(isAudit).map((item) => item.id));
  const rows = [...new Set(judged.map((item) => item.id))].map((id) => {
    const verdict = store.verdictOf(id);
    return [harmlessCell(id), verdict === "unsure" ? "" : verdict, drawn.has(id) ? "yes" : "no", store.whenOf(id)];
  });
  return csvText([["item", "verdict", "audit", "when"], ...rows]);
}

/** Return the flagged items as a table for spreadsheets: no cell of it is taken for a formula. */
export function flaggedCsv(items, store) {
  const flagged = items.filter((item) => item.is_anomaly);
  const further = flagged.some((item) => item.image) ? imageColumns : rowColumns;
  const columns = (item) => ({
    item: item.id,
    score: item.score,
    p_value: item.p_value,
    probability: item.probability,
    reasons: item.reasons.join("; "),
    ...further(item),
    verdict: store.verdictOf(item.id),
  });
  const tables = flagged.map(columns);
  const names = Object.keys(tables[0] ?? { item: "", score: "", p_value: "" });
  const rows = tables.map((table) => names.map((name) => harmlessCell(table[name])));
  return `\ufeff${csvText([names, ...rows])}`; // by the first sign, Excel knows UTF-8
}

function imageColumns({ image }) {
  const region = largestRegion(image);
  return {
    folder: image?.folder,
    source: image?.source,
    region_width_px: region?.width,
    region_height_px: region?.height,
    region_left_px: region?.left,
    region_top_px: region?.top,
    heatmap: image?.heatmap_file,
  };
}

function rowColumns({ row }) {
  const [first, second, third] = row?.contributions ?? [];
  return {
    file: row?.file,
    row: row?.row,
    ...Object.fromEntries(
      [first, second, third].flatMap((one, place) => [
        [`column_${place + 1}`, one?.column],
        [`value_${place + 1}`, one?.value],
        [`nats_${place + 1}`, one?.nats],
      ]),
    ),
  };
}
