for (const slider of document.querySelectorAll(".slider")) {
  const names = [...slider.querySelectorAll("figcaption")].map((name) => name.textContent);
  const range = document.createElement("input");
  range.type = "range";
  range.min = 0;
  range.max = 100;
  range.step = "any";
  range.value = 50;
  range.setAttribute("aria-label", `Line between ${names[0]} (left) and ${names[1]} (right)`);
  const move = () => {
    slider.style.setProperty("--split", `${range.value}%`);
    range.setAttribute("aria-valuetext", `${Math.round(range.value)} % ${names[0]}`);
  };
  range.addEventListener("input", move);
  // Steps of "any" leave the keyboard without steps of its own in some browsers.
  range.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -2, ArrowDown: -2, ArrowRight: 2, ArrowUp: 2 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    range.value = Number(range.value) + step;
    move();
  });
  slider.append(range);
  slider.classList.add("ready");
  move();
}
