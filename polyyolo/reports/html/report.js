"use strict";
document.documentElement.classList.add("script");

for (const slider of document.querySelectorAll(".slider")) {
  const input = slider.querySelector("input");
  const show = (percent) => {
    slider.style.setProperty("--at", `${percent}%`);
    const whole = Math.round(percent);
    input.setAttribute("aria-valuetext", `${whole}% FP32, ${100 - whole}% ${input.dataset.right}`);
  };
  const follow = (event) => {
    const box = slider.getBoundingClientRect();
    const percent = 100 * Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    input.value = percent;
    show(percent);
  };
  slider.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    slider.setPointerCapture(event.pointerId);
    input.focus({ preventScroll: true, focusVisible: false });
    follow(event);
  });
  slider.addEventListener("pointermove", (event) => {
    if (slider.hasPointerCapture(event.pointerId)) follow(event);
  });
  input.addEventListener("input", () => show(Number(input.value)));
  show(Number(input.value));
}

const heard = document.querySelector(".heard");
const copy = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = document.createElement("textarea");
    field.value = text;
    field.style.position = "fixed";
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
};
for (const button of document.querySelectorAll(".copy")) {
  button.addEventListener("click", async () => {
    const done = await copy(button.parentElement.querySelector("code").textContent);
    button.focus();
    button.textContent = done ? "Copied" : "Select it";
    heard.textContent = done ? "Copied" : "Copying is not allowed here: select the command";
    setTimeout(() => {
      button.textContent = "Copy";
      heard.textContent = "";
    }, 2000);
  });
}

let closed = [];
addEventListener("beforeprint", () => {
  const found = [...document.querySelectorAll("details:not([open])")];
  for (const each of found) each.open = true;
  closed = closed.concat(found);
});
addEventListener("afterprint", () => {
  for (const each of closed) each.open = false;
  closed = [];
});
