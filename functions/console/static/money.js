/** Amounts of US dollars, as whole millionths: a floating-point number cannot hold ten cents. */

const MILLION = 1_000_000n;

/**
 * Return the millionths of an amount as the API writes it, such as `0.042000`; none of anything else.
 *
 * @param {string | null | undefined} text
 */
export function microsOf(text) {
  const [, whole, decimals = ""] = /^(\d+)(?:\.(\d*))?$/.exec(text ?? "") ?? [];
  return whole === undefined ? 0n : BigInt(whole) * MILLION + BigInt(decimals.padEnd(6, "0").slice(0, 6));
}

/**
 * Return an amount as text with at least the cents, for an input.
 *
 * @param {string} text
 */
export const shortUsd = (text) => textOf(microsOf(text)).replace(/0{1,4}$/, "");

/**
 * Return how many thousandths of the whole a part is, at most all of them.
 *
 * @param {bigint} part
 * @param {bigint} whole
 */
export const thousandths = (part, whole) => (whole > 0n ? Math.min(1000, Number((part * 1000n) / whole)) : 0);

const cents = new Intl.NumberFormat(undefined, { style: "currency", currency: "USD" });
const millionths = new Intl.NumberFormat(undefined, { style: "currency", currency: "USD", minimumFractionDigits: 6 });
const LEAST = 5_000n;

/**
 * @param {string | bigint} usd US dollars as the API writes them, or millionths
 * @param {boolean} [exact] to the millionth instead of to the cent
 */
export function formatUsd(usd, exact = false) {
  const micros = typeof usd === "bigint" ? usd : microsOf(usd);
  if (!exact && micros > 0n && micros < LEAST) return `< ${cents.format(0.01)}`;
  return (exact ? millionths : cents).format(textOf(micros));
}

/** @param {bigint} micros */
function textOf(micros) {
  const decimals = String(micros % MILLION).padStart(6, "0");
  return /** @type {`${number}`} */ (`${micros / MILLION}.${decimals}`);
}
