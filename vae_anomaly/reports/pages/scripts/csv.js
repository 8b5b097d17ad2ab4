// Tables as files, by RFC 4180, and how the browser saves them.

const PLAIN_NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const FORMULA = /^[=+\-@\t\r]/;

/** Return rows of cells as text. */
export function csvText(rows) {
  return rows.map((row) => `${row.map(csvCell).join(",")}\r\n`).join("");
}

function csvCell(value) {
  const text = String(value ?? "");
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Return a cell that no spreadsheet takes for a formula; numbers stay numbers. */
export function harmlessCell(value) {
  if (typeof value !== "string" || PLAIN_NUMBER.test(value)) return value;
  return FORMULA.test(value) ? `'${value}` : value;
}

/** Have the browser save a text as a file. */
export function saveText(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
