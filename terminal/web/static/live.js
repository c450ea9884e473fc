// A live page. The state machine is in the service: it sends whole regions, this file puts them
// in place, forwards keys and touches, counts seconds down, and says when the stream is cut.
import { play } from "./sound.js";

const RETRY_MS = 1000;
const SILENCE_MAX_MS = 20000;
const body = document.body;
const page = body.dataset;
const band = document.getElementById("reconnecting");
const regions = new Map();
let stream;
let heard = performance.now();
let soundKey = null;
let acknowledged = null;
let audio;
let following = false;

function swap(id, html) {
  if (regions.get(id) === html) return;
  regions.set(id, html);
  const region = document.getElementById(id);
  // What somebody is typing outlives a change elsewhere in its region.
  const typedIn = new Map();
  for (const each of region.querySelectorAll("form input, form select")) typedIn.set(each.id, each.value);
  const focused = region.contains(document.activeElement) ? document.activeElement : null;
  const typed = focused?.tagName === "INPUT" ? [focused.value, focused.selectionStart] : null;
  region.innerHTML = html;
  for (const [name, value] of typedIn) {
    const field = document.getElementById(name);
    if (field && !field.value) field.value = value;
  }
  const wanted = region.querySelector("[data-focus]") ?? region.querySelector("form input");
  if (wanted && !focused && document.activeElement === document.body) wanted.focus({ preventScroll: true });
  const again = focused?.id ? document.getElementById(focused.id) : null;
  if (!again) return;
  again.focus({ preventScroll: true });
  if (typed) {
    again.value = typed[0];
    again.setSelectionRange(typed[1], typed[1]);
  }
}

function sound(state) {
  const first = soundKey === null;
  if (state.sound_key === soundKey) return;
  soundKey = state.sound_key;
  if (first || !state.sound) return;
  audio ??= new AudioContext();
  audio.resume().then(() => play(audio, state.sound)).catch(() => {});
}

function apply(state) {
  if (state.boot !== page.boot) return location.reload();
  if (state.body.state !== page.state) page.turn = page.turn === "0" ? "1" : "0";
  for (const [name, value] of Object.entries(state.body)) page[name] = value;
  document.documentElement.lang = state.lang;
  for (const [id, html] of Object.entries(state.regions)) swap(id, html);
  stamp();
  sound(state);
  if (state.body.next && !following) {
    following = true;
    follow(state.body.next);
  }
  // Only what was painted counts as shown: two frames later it is.
  if (state.shown && state.shown !== acknowledged) {
    acknowledged = state.shown;
    requestAnimationFrame(() => requestAnimationFrame(() => act("shown", state.shown)));
  }
}

function connected(yes) {
  band.hidden = yes;
  body.classList.toggle("cut", !yes);
  const cut = document.getElementById("cut");
  if (!cut) return;
  // An old result must not greet the next person: a cut kiosk shows that it is cut.
  cut.hidden = yes;
  document.getElementById("field").hidden = !yes;
  if (!yes) page.state = "cut";
}

function listen() {
  stream?.close();
  stream = new EventSource(page.events);
  heard = performance.now();
  stream.onopen = () => { heard = performance.now(); };
  stream.onerror = () => {
    connected(false);
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, RETRY_MS);
  };
  stream.addEventListener("beat", () => { heard = performance.now(); });
  stream.onmessage = (event) => {
    heard = performance.now();
    connected(true);
    apply(JSON.parse(event.data));
  };
}

async function act(action, value = "") {
  try {
    const answer = await fetch("/act", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ position: page.position, page: page.page, action, value }),
    });
    if (!answer.ok) connected(false);
  } catch {
    connected(false);
  }
}

// Seconds left: the server says how many there were when the region was drawn.
function stamp() {
  for (const each of document.querySelectorAll("[data-left-ms]:not([data-ends])")) {
    each.dataset.ends = performance.now() + Number(each.dataset.leftMs);
  }
  count();
}

function count() {
  for (const each of document.querySelectorAll("[data-ends]")) {
    const left = Math.max(0, Math.floor((Number(each.dataset.ends) - performance.now()) / 1000));
    each.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
  }
}

function send(name) {
  const form = document.querySelector(`[data-form="${name}"]`);
  if (!form) return;
  const fields = Object.fromEntries(new FormData(form));
  // A form of one field sends its text, any other all its fields.
  act(name, form.dataset.field ? fields[form.dataset.field] : JSON.stringify(fields));
}

// Buttons that type, for a machine without a keyboard.
function type(letter) {
  const field = document.querySelector("form.typing input");
  if (field) field.value = letter ? field.value + letter : "";
}

// After its first start the machine goes into service: the page waits for it and goes along.
async function follow(next) {
  try {
    if ((await fetch(next)).ok) return location.assign(next);
  } catch { /* not yet there */ }
  setTimeout(() => follow(next), RETRY_MS);
}

document.addEventListener("submit", (event) => {
  event.preventDefault();
  send(event.target.dataset.form);
});

document.addEventListener("click", (event) => {
  const typed = event.target.closest("[data-letter]");
  if (typed) return void type(typed.dataset.letter);
  const heard = event.target.closest("[data-sound]");
  if (heard) {
    audio ??= new AudioContext();
    return void audio.resume().then(() => play(audio, heard.dataset.sound));
  }
  const sends = event.target.closest("[data-send]");
  if (sends) return void send(sends.dataset.send);
  const target = event.target.closest("[data-act]");
  if (!target) return;
  if (target.dataset.act === "print" && page.printer !== "here") window.print();
  else if (target.dataset.act === "attest") act("attest", document.getElementById("note")?.value ?? "");
  else act(target.dataset.act, target.dataset.value ?? "");
});

document.addEventListener("input", (event) => {
  if (event.target.id === "search") act("search", event.target.value);
});

const KEYS = new Set(["Enter", "Escape", "F1", "F2", "F3", "F4", "F6", "F7", "F8", "F10", "F12", "ArrowUp", "ArrowDown"]);
document.addEventListener("keydown", (event) => {
  if (page.page !== "counter" || event.ctrlKey || event.altKey || event.metaKey) return;
  const field = event.target.tagName === "INPUT" ? event.target : null;
  const onButton = event.target.closest?.("button");
  if (event.key === "F9") {
    event.preventDefault();
    return void (page.printer === "here" ? act("key", "F9") : window.print());
  }
  if (event.key === "/" && !field) {
    event.preventDefault();
    const search = document.getElementById("search");
    return void (search ? search.focus() : act("find"));
  }
  const form = event.target.closest?.("form") ?? document.querySelector("[data-form]");
  if (event.key === "Enter" && form && !onButton) {
    event.preventDefault();
    if (event.repeat) return;
    // Enter in a field goes on to the next one; from the last one it sends.
    const fields = [...form.querySelectorAll("input, select")];
    const next = fields.slice(fields.indexOf(event.target) + 1).find((one) => one.tagName === "INPUT");
    return void (fields.includes(event.target) && next ? next.focus() : send(form.dataset.form));
  }
  if (event.key === "Enter" && field?.id === "note") {
    event.preventDefault();
    return void act("attest", field.value);
  }
  // Enter presses the button in focus, but on what is picked already it confirms.
  if (event.key === "Enter" && onButton && onButton.getAttribute("aria-pressed") !== "true") return;
  if (field && event.key === "Escape") { field.value = ""; field.blur(); }
  if (event.target.tagName === "SELECT" && event.key.startsWith("Arrow")) return;
  if (!KEYS.has(event.key) && (field || !/^[1-9+=-]$/.test(event.key))) return;
  if (event.repeat && event.key === "Enter") return;
  event.preventDefault();
  act("key", event.key);
});

setInterval(count, 500);
setInterval(() => { if (performance.now() - heard > SILENCE_MAX_MS) { connected(false); listen(); } }, 2000);
page.turn = "0";
stamp();
listen();
