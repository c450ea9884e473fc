// The demo page: clicks go to the demo, numbers and outcomes come back as whole regions.
const RETRY_MS = 1000;
const shown = new Map();
let stream;

function swap(id, html) {
  if (shown.get(id) === html) return;
  shown.set(id, html);
  const region = document.getElementById(id);
  const focused = region.contains(document.activeElement) ? document.activeElement.id : "";
  region.innerHTML = html;
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

function listen() {
  stream?.close();
  stream = new EventSource(document.body.dataset.events);
  stream.onopen = () => document.body.classList.remove("cut");
  stream.onerror = () => {
    document.body.classList.add("cut");
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, RETRY_MS);
  };
  stream.onmessage = (event) => {
    const state = JSON.parse(event.data);
    document.body.dataset.busy = state.busy;
    for (const [id, html] of Object.entries(state.regions)) swap(id, html);
  };
}

document.addEventListener("click", (event) => {
  const target = event.target.closest("[data-act]");
  if (!target) return;
  const { act: action, card, slot } = target.dataset;
  fetch("/act", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ action, card, slot }),
  }).catch(() => document.body.classList.add("cut"));
  // A tap at the counter goes on with the keyboard there.
  if (action === "tap" && slot === "counter") document.querySelector(".counter-frame iframe").focus();
});

listen();
