// A formula that is wider than the page scrolls, so the keyboard must reach it. All others are no stop of the Tab key.
addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  const mark = () => {
    for (const formula of document.querySelectorAll("mjx-container[display='true']")) {
      if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0;
      else formula.removeAttribute("tabindex");
    }
  };
  mark();
  addEventListener("resize", mark);
  document.documentElement.dataset.formulas = "set";
});
