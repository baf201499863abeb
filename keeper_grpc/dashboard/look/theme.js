// The theme that was chosen in this browser, before anything is drawn.
const keeperTheme = localStorage.getItem("keeper-theme");
if (keeperTheme) document.documentElement.dataset.theme = keeperTheme;
document.addEventListener("change", (event) => {
  if (event.target.id !== "theme") return;
  localStorage.setItem("keeper-theme", event.target.value);
  document.documentElement.dataset.theme = event.target.value;
});
// NiceGUI opens its socket once the page is mounted. While it is closed, nothing here is live.
const keeperMounted = setInterval(() => {
  if (!window.socket) return;
  clearInterval(keeperMounted);
  document.getElementById("theme").value = keeperTheme || "system";
  window.socket.on("disconnect", () => (document.documentElement.dataset.lost = ""));
  window.socket.on("connect", () => delete document.documentElement.dataset.lost);
}, 20);
