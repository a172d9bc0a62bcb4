/**
 * Loads the console's modules a few at a time, then starts it.
 *
 * A browser would request all of them at once, and each request is an execution of the function. A new AWS account may
 * have only ten at a time. What is loaded here stays in the browser's cache, from which the imports then take it. On
 * later visits, the imports find it there.
 */

const AT_ONCE = 6;
const TRIES = 4;

/** @param {URL} url */
async function load(url) {
  for (let tried = 1; ; tried += 1) {
    const response = await fetch(url).catch(() => null);
    if (response?.ok) return response.arrayBuffer();
    if (tried === TRIES) throw new Error(`${url.pathname} could not be loaded`);
    await new Promise((done) => setTimeout(done, 300 * 2 ** tried));
  }
}

async function loadAll() {
  const script = /** @type {HTMLElement} */ (document.getElementById("start"));
  const waiting = (script.dataset.files ?? "").split(" ").map((name) => new URL(name, import.meta.url));
  const loader = async () => {
    for (let url = waiting.shift(); url; url = waiting.shift()) await load(url);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, loader));
}

/** Return whether this script came from the browser's cache. Then the others are there, too, as a rule. */
function isLaterVisit() {
  const [timing] = performance.getEntriesByName(import.meta.url);
  return timing instanceof PerformanceResourceTiming && timing.transferSize === 0;
}

function explain() {
  const note = document.querySelector(".starting");
  if (note) note.textContent = "The console could not be loaded. Check your connection, then load this page again.";
}

async function start() {
  if (!isLaterVisit()) await loadAll();
  try {
    await import("./main.js");
  } catch {
    // The cache lacked some modules, because a visit was interrupted, and too many were requested at once.
    await loadAll();
    await import("./main.js");
  }
}

start().catch(explain);
