// Figures that age are fetched again while the page is looked at; without scripts a reload does it.
// A page that nobody touches stops asking, so that an idle session ends as it should.
const every = 15_000;
const idle = 10 * 60_000;
let touched = performance.now();
for (const kind of ["pointerdown", "keydown", "wheel"])
  addEventListener(kind, () => { touched = performance.now(); }, { passive: true });

async function refresh() {
  if (performance.now() - touched > idle) return;
  if (document.hidden || document.querySelector("details[open] :focus, form :focus")) return;
  const answer = await fetch(location.href, { headers: { accept: "text/html" } }).catch(() => null);
  if (!answer?.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.querySelector(`[data-live="${part.dataset.live}"]`);
    if (next && next.innerHTML !== part.innerHTML) part.innerHTML = next.innerHTML;
  }
}

setInterval(refresh, every);
document.addEventListener("visibilitychange", refresh);
