(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const store = { get: () => { try { return localStorage.getItem("theme"); } catch { return null; } },
                  set: (v) => { try { localStorage.setItem("theme", v); } catch { /* files may have no storage */ } } };
  if (store.get()) root.dataset.theme = store.get();
  document.getElementById("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    store.set(root.dataset.theme);
  });
  for (const select of document.querySelectorAll(".choice select")) {
    const show = () => select.closest(".card").querySelectorAll(".each")
      .forEach((each, index) => each.classList.toggle("shown", String(index) === select.value));
    select.addEventListener("change", show);
    show();
  }
  const tip = document.getElementById("tip");
  const hide = () => tip.classList.remove("shown");
  for (const mark of document.querySelectorAll(".mark")) {
    const title = mark.querySelector("title");
    const words = title.textContent;
    title.remove();
    mark.setAttribute("role", "img");
    mark.setAttribute("aria-label", words);
    const show = () => {
      tip.textContent = words;
      const box = (mark.querySelector(".dot, .bar") || mark).getBoundingClientRect();
      const left = Math.min(Math.max(box.left + box.width / 2 - tip.offsetWidth / 2, 6), innerWidth - tip.offsetWidth - 6);
      const above = box.top - tip.offsetHeight - 8;
      tip.style.left = `${left}px`;
      tip.style.top = `${above > 4 ? above : box.bottom + 8}px`;
      tip.classList.add("shown");
    };
    mark.addEventListener("pointerenter", show);
    mark.addEventListener("focus", show);
    mark.addEventListener("pointerleave", hide);
    mark.addEventListener("blur", hide);
  }
  addEventListener("scroll", hide, { passive: true });
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
})();
