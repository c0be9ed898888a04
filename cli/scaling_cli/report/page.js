"use strict";
(() => {
  const button = document.getElementById("theme");
  const root = document.documentElement;
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : prefersDark.matches);
  const label = () => { button.textContent = isDark() ? "Light mode" : "Dark mode"; };
  button.hidden = false;
  button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; label(); });
  prefersDark.addEventListener("change", label);
  label();

  if (typeof window.vegaEmbed !== "function") return;
  const specs = [...document.querySelectorAll("script[data-chart]")].map((script) => ({
    plot: document.getElementById(script.dataset.chart),
    spec: JSON.parse(script.textContent),
  }));

  // Small multiples take as many columns as fit; single charts fill the width that their figure has.
  const fitted = (spec, width) => {
    const sized = structuredClone(spec);
    sized.config.legend.columns = Math.max(2, Math.min(8, Math.floor(width / 84)));
    if (!sized.spec) return { ...sized, width, autosize: { type: "fit-x", contains: "padding" } };
    const gap = typeof sized.spacing === "number" ? sized.spacing : 20;
    const margin = sized.columns === 1 ? 24 : 76;
    const columns = Math.max(1, Math.min(sized.columns || 1, Math.floor((width - margin + gap) / (150 + gap))));
    sized.columns = columns;
    sized.spec.width = Math.floor((width - margin - gap * (columns - 1)) / columns);
    return sized;
  };

  const draw = async (entry) => {
    const width = Math.floor(entry.plot.clientWidth);
    if (width < 120 || Math.abs(width - (entry.width || 0)) < 8) return;
    entry.width = width;
    const stage = document.createElement("div");
    const options = { actions: false, renderer: "svg", tooltip: { disableDefaultStyle: true } };
    try {
      await window.vegaEmbed(stage, fitted(entry.spec, width), options);
      entry.plot.replaceChildren(stage);
    } catch (error) {
      console.warn(`chart ${entry.plot.id} stays a drawing`, error);
    }
  };

  const watch = new ResizeObserver((changes) => {
    for (const change of changes) {
      const entry = specs.find((each) => each.plot === change.target);
      clearTimeout(entry.timer);
      entry.timer = setTimeout(() => draw(entry), entry.width ? 150 : 0);
    }
  });
  specs.forEach((entry) => watch.observe(entry.plot));
})();
