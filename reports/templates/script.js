// Series on and off by their keys, and values under the pointer. Without it the page shows the same figures.
(() => {
  const tip = document.body.appendChild(document.createElement("div"));
  tip.className = "tip";
  tip.hidden = true;
  const value = ([kind, low, high], part) => {
    if (kind === 1) {
      const decades = part * (0.5 + Math.log10(high));
      return decades < 0.5 ? decades / 0.5 : 10 ** (decades - 0.5);
    }
    return kind === 2 ? low * (high / low) ** part : low + part * (high - low);
  };
  const rounded = (number, digits) => String(Number(number.toPrecision(digits))).replace("-", "\u2212");
  const vertices = (path) => path.vertices ??= path.getAttribute("d").split("M").slice(1).flatMap((piece) => {
    let [x, y] = piece.match(/-?\d+/g).map(Number);
    const places = [[x, y]];
    for (const [, command, text] of piece.matchAll(/([lhv])([^lhvz]*)/g)) {
      const numbers = text.match(/-?\d+/g).map(Number);
      while (numbers.length) {
        if (command !== "v") x += numbers.shift();
        if (command !== "h") y += numbers.shift();
        places.push([x, y]);
      }
    }
    return places;
  });
  for (const drawing of document.querySelectorAll(".drawing")) {
    const names = {};
    for (const button of drawing.querySelectorAll("[data-key]")) {
      names[button.dataset.key] = button.textContent;
      button.addEventListener("click", () => {
        const on = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", on);
        for (const series of drawing.querySelectorAll(`[data-s="${button.dataset.key}"]`)) series.style.display = on ? "" : "none";
      });
    }
    const parts = drawing.querySelector(".parts");
    parts.addEventListener("pointerleave", () => { tip.hidden = true; });
    parts.addEventListener("pointermove", (event) => {
      tip.hidden = true;
      const svg = event.target.closest("svg");
      if (!svg) return;
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      for (const panel of svg.querySelectorAll("[data-p]")) {
        const [left, top, width, height] = panel.dataset.p.split(" ").map(Number);
        if (at.x < left || at.x > left + width || at.y < top || at.y > top + height) continue;
        const [x, y] = [panel.dataset.x, panel.dataset.y].map((axis) => axis.split(" ").map(Number));
        const near = [...panel.querySelectorAll("[data-s]")].filter((series) => series.style.display !== "none").flatMap((series) => {
          const path = series.querySelector("path[fill=none]");
          if (!path) return [];
          const place = vertices(path).reduce((best, one) => Math.abs(one[0] - at.x) < Math.abs(best[0] - at.x) ? one : best);
          return [{ name: names[series.dataset.s] ?? "", place }];
        });
        if (!near.length) return;
        const step = value(x, (near[0].place[0] - left) / width);
        const lines = near.map(({ name, place }) => `${name} ${rounded(value(y, (top + height - place[1]) / height), 3)}`.trim());
        tip.textContent = [`${x[0] === 1 ? "step" : "at"} ${step < 20 ? Math.round(step * (x[0] === 1 ? 1 : 100)) / (x[0] === 1 ? 1 : 100) : rounded(step, 2)}`, ...lines].join("\n");
        tip.hidden = false;
        tip.style.left = `${Math.max(0, Math.min(event.clientX + 12, innerWidth - tip.offsetWidth))}px`;
        tip.style.top = `${Math.max(0, Math.min(event.clientY + 12, innerHeight - tip.offsetHeight))}px`;
      }
    });
  }
})();
