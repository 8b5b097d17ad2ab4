// Numbers as Python's `reports/pages/numbers.py` writes them: change both or none.

const UNKNOWN = "not known";
const WHOLE = 9.95; // from here on an amount has two digits before its point

/** A number with so many decimals and a comma between thousands. */
export function fixed(value, digits) {
  const [whole, part] = Math.abs(value).toFixed(digits).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  const text = part ? `${grouped}.${part}` : grouped;
  return value < 0 && /[1-9]/.test(text) ? `-${text}` : text;
}

/** A count. */
export function thousands(n) {
  return Number.isFinite(n) ? fixed(n, 0) : UNKNOWN;
}

/** An amount that was estimated: whole from 10 on, else with two digits that count. */
export function amount(value) {
  if (!Number.isFinite(value)) return UNKNOWN;
  if (value < 0) return `-${amount(-value)}`;
  if (value === 0 || value >= WHOLE) return fixed(value, 0);
  if (value < 0.005) return "<0.01";
  return fixed(value, value >= WHOLE / 10 ? 1 : 2);
}

/** A share in percent with two digits that count, never rounded to all or nothing. */
export function percent(share) {
  if (!Number.isFinite(share)) return UNKNOWN;
  const value = share * 100;
  if (value > 0 && value < 0.001) return "<0.001%";
  if (value > 100 - 0.001 && value < 100) return ">99.999%";
  return `${fixed(value, percentDigits(value))}%`;
}

function percentDigits(value) {
  if (value <= 0 || value >= 100) return 0;
  const near = Math.min(value, (100 - value) * 10);
  if (near >= WHOLE) return 0;
  if (near >= WHOLE / 10) return 1;
  return near >= WHOLE / 100 ? 2 : 3;
}

/** An estimated amount with its interval: "12 (9 to 15)". */
export function interval(figure) {
  return between(figure, figure?.estimate >= WHOLE ? thousands : amount);
}

/** A share with its interval, in percent. */
export function shareInterval(figure) {
  return between(figure, percent);
}

function between(figure, shown) {
  if (!Number.isFinite(figure?.estimate)) return UNKNOWN;
  return `${shown(figure.estimate)} (${shown(figure.low)} to ${shown(figure.high)})`;
}

/** An anomaly score, -log10 p. */
export function scoreText(value) {
  return Number.isFinite(value) ? fixed(value, 3) : UNKNOWN;
}

/** A counted noun: "1 image", "1,200 images". */
export function numberOf(n, noun) {
  return `${thousands(n)} ${n === 1 ? noun : `${noun}s`}`;
}
