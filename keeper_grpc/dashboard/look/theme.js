// The theme that was chosen in this browser, before anything is drawn.
const keeperTheme = localStorage.getItem("keeper-theme");
if (keeperTheme) document.documentElement.dataset.theme = keeperTheme;
document.addEventListener("change", (event) => {
  if (event.target.id !== "theme") return;
  localStorage.setItem("keeper-theme", event.target.value);
  document.documentElement.dataset.theme = event.target.value;
});
// The meaning of a word goes away with Escape, and comes back when another one is pointed at.
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.documentElement.dataset.quiet = "";
});
for (const kind of ["focusin", "mouseover"]) {
  document.addEventListener(kind, (event) => {
    const word = event.target.closest?.(".term, .ask");
    if (!word) return;
    delete document.documentElement.dataset.quiet;
    // A meaning that would not fit into the window to the right of its word moves to the left, and stays in it.
    const meaning = word.nextElementSibling;
    meaning.style.left = "0";
    const box = meaning.getBoundingClientRect();
    const room = document.documentElement.clientWidth - 8;
    meaning.style.left = `${Math.max(8 - box.left, Math.min(0, room - box.right))}px`;
  });
}
// NiceGUI opens its socket once the page is mounted. While it is closed, nothing here is live.
const keeperMounted = setInterval(() => {
  if (!window.socket) return;
  clearInterval(keeperMounted);
  document.getElementById("theme").value = keeperTheme || "system";
  window.socket.on("disconnect", () => (document.documentElement.dataset.lost = ""));
  window.socket.on("connect", () => delete document.documentElement.dataset.lost);
}, 20);
// On a phone, sections begin folded but for the first two: the page would be ten screens long. Before anything is
// drawn, so that nothing moves.
const keeperPhone = window.matchMedia("(max-width: 44rem)");
new MutationObserver((changes) => {
  if (!keeperPhone.matches) return;
  for (const change of changes) {
    for (const added of change.addedNodes) {
      if (!added.querySelectorAll) continue;
      const folds = [...added.querySelectorAll("details.fold")];
      for (const fold of folds) {
        if (fold.dataset.begun) continue;
        fold.dataset.begun = "";
        const all = [...document.querySelectorAll("details.fold")];
        if (all.indexOf(fold) > 1) fold.open = false;
      }
    }
  }
}).observe(document, { childList: true, subtree: true });
