// Scanners and stripe readers that type. Their keys come faster than a person's; they are kept out
// of the field that has the focus and go to the service, which judges them again and serves the
// line as a card. The rule is that of readers/wedge.py.
const GAP_MS_MAX = 50;
const CHARACTERS_MIN = 8;
const SILENT = new Set(["Shift", "CapsLock"]);
const page = document.body.dataset;
let burst = [];
let field = null;
let before = "";

function forget() {
  burst = [];
  field = null;
}

async function send(keys) {
  const body = { position: page.position, keys: keys.map((one) => one.key), times: keys.map((one) => one.at) };
  try {
    await fetch("/api/typed", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  } catch { /* the page says by itself that the service is away */ }
}

function typed(event) {
  if (page.page !== "counter" || event.ctrlKey || event.altKey || event.metaKey) return forget();
  if (SILENT.has(event.key)) return;
  const at = Math.round(event.timeStamp);
  const last = burst.at(-1);
  if (last && at - last.at > GAP_MS_MAX) forget();
  if (event.key === "Enter") {
    const keys = burst;
    const held = keys.length >= CHARACTERS_MIN;
    if (held) {
      event.preventDefault();
      event.stopImmediatePropagation();
      send([...keys, { key: "Enter", at }]);
    }
    return forget();
  }
  if (event.key.length !== 1) return forget();
  if (!burst.length) {
    field = event.target.tagName === "INPUT" ? event.target : null;
    before = field ? field.value : "";
  }
  burst.push({ key: event.key, at });
  if (burst.length < CHARACTERS_MIN) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  // The first keys were taken for a person's.
  if (field && burst.length === CHARACTERS_MIN) field.value = before;
}

document.addEventListener("keydown", typed, { capture: true });
window.addEventListener("blur", forget);
