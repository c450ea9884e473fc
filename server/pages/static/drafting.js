// Sends the form while it is filled in: rows come and go in place, the dry run keeps up.
// Without scripts the same buttons do the same by loading the page again.
const form = document.querySelector("#drafting");
const pause = 700;
const touched = new Set();
let waiting = 0;
let asked = 0;

async function send(act) {
  const body = new URLSearchParams(new FormData(form));
  body.set("do", act);
  const mine = ++asked;
  const answer = await fetch(form.action, { method: "POST", body }).catch(() => null);
  if (!answer?.ok || answer.redirected || mine !== asked) return null;
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

async function keepUp() {
  const fresh = await send("try");
  if (!fresh) return;
  document.querySelector("#answers").innerHTML = fresh.querySelector("#answers").innerHTML;
  for (const field of form.elements) {
    if (!field.id || !touched.has(field.name)) continue;
    const next = fresh.getElementById(field.id);
    document.getElementById(`${field.id}-fault`)?.remove();
    for (const name of ["aria-invalid", "aria-describedby"]) field.removeAttribute(name);
    const fault = fresh.getElementById(`${field.id}-fault`);
    if (!next || !fault) continue;
    for (const name of ["aria-invalid", "aria-describedby"]) field.setAttribute(name, next.getAttribute(name));
    field.closest(".field, fieldset").append(fault);
  }
}

async function changeRows(button) {
  const [act, table] = button.value.split(":");
  const fresh = await send(button.value);
  const next = fresh?.querySelector(`#rows-${table}`);
  if (!next) return void form.requestSubmit(button);
  document.querySelector(`#rows-${table}`).replaceWith(next);
  const last = [...next.querySelectorAll(".row")].pop();
  const goal = act === "add" ? last?.querySelector("input, select") : next.querySelector("button.add");
  goal?.focus();
  if (act === "drop") keepUp();
}

form.addEventListener("input", (event) => {
  touched.add(event.target.name);
  clearTimeout(waiting);
  waiting = setTimeout(keepUp, pause);
});
form.addEventListener("click", (event) => {
  const button = event.target.closest("button[value^='add:'], button[value^='drop:']");
  if (!button || button.dataset.sent) return;
  event.preventDefault();
  clearTimeout(waiting);
  button.dataset.sent = "1";  // once in place; if that fails, by loading the page
  changeRows(button);
});
