// Before the first paint: the theme that was chosen here last, or the system's. Also the sign-in page's only script.
(() => {
  const root = document.documentElement;
  const stored = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  const set = (theme) => { if (theme) root.dataset.theme = theme; else delete root.dataset.theme; };
  set(stored());
  document.addEventListener("DOMContentLoaded", () => {
    const wrong = document.getElementById("wrong");
    if (wrong && location.search === "?wrong") wrong.hidden = false;
    const button = document.getElementById("theme");
    if (!button) return;
    const order = [null, "dark", "light"];
    const name = () => { button.textContent = `Theme: ${stored() ?? "system"}`; };
    name();
    button.addEventListener("click", () => {
      const next = order[(order.indexOf(stored()) + 1) % order.length];
      try { if (next) localStorage.setItem("theme", next); else localStorage.removeItem("theme"); } catch { /* private mode */ }
      set(next);
      name();
    });
  });
})();
