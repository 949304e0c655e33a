// Mounts the figures of a built page: the same ES module that anywidget runs in Jupyter, with a model that has no
// kernel.
// A classic script, and the module as text in window.courseFigures, because browsers load no ES module from file://.
(() => {
  "use strict";

  /** Stands in for anywidget's model: state that tells its listeners when it changes. */
  class Model {
    #state;
    #listeners = new Map(); // event -> set of functions

    /** @param {Record<string, unknown>} state */
    constructor(state) {
      this.#state = state;
    }

    get(name) {
      return this.#state[name];
    }

    set(name, value) {
      if (Object.is(this.#state[name], value)) return;
      this.#state[name] = value;
      this.#emit(`change:${name}`, this, value);
      this.#emit("change", this);
    }

    on(events, listener) {
      for (const event of events.split(/\s+/)) {
        if (!this.#listeners.has(event)) this.#listeners.set(event, new Set());
        this.#listeners.get(event).add(listener);
      }
    }

    off(events, listener) {
      if (!events) return this.#listeners.clear();
      for (const event of events.split(/\s+/)) {
        if (listener) this.#listeners.get(event)?.delete(listener);
        else this.#listeners.delete(event);
      }
    }

    save_changes() {} // there is no kernel to tell
    send() {}

    #emit(event, ...values) {
      for (const listener of [...(this.#listeners.get(event) ?? [])]) listener(...values);
    }
  }

  /** The page is parsed. Earlier than DOMContentLoaded, which waits for every deferred script: icons, MathJax. */
  const parsed = new Promise((resolve) => {
    const look = () => document.readyState !== "loading" && resolve();
    document.addEventListener("readystatechange", look);
    look();
  });

  /** figures.js, which loads beside this file, has run; or it failed, and `window.courseFigures` stays empty. */
  const arrived = () =>
    new Promise((resolve) => {
      const script = document.querySelector('script[src*="figures.js"]');
      if (window.courseFigures || !script) return resolve();
      for (const event of ["load", "error"]) script.addEventListener(event, resolve);
      addEventListener("load", resolve); // after every script, in case it failed before anybody listened
    });

  async function load() {
    await arrived();
    if (!window.courseFigures) throw new Error("the file figures.js did not load");
    const url = URL.createObjectURL(new Blob([window.courseFigures], { type: "text/javascript" }));
    try {
      return (await import(url)).default;
    } finally {
      URL.revokeObjectURL(url);
    }
  }

  const hosts = new Set(); // those that are not mounted yet
  const figures = load(); // at once, so that a page is also ready to be printed
  figures.catch(() => {}); // each figure reports it when its turn comes

  async function mount(host) {
    if (!hosts.delete(host)) return;
    let alt = "";
    try {
      const payload = JSON.parse(host.querySelector("script").textContent);
      alt = payload.alt;
      const model = new Model({ ...payload.state, figure: payload.figure });
      const el = document.createElement("div");
      await (await figures).render({ model, el });
      host.replaceChildren(el);
      host.dataset.mounted = "";
    } catch (error) {
      console.error(error);
      fail(host, error, alt);
    }
  }

  function fail(host, error, alt) {
    const sentence = document.createElement("p");
    sentence.className = "course-figure-failure";
    sentence.textContent = `This figure could not start here (${error.message}). ${alt}`;
    host.replaceChildren(sentence);
    host.dataset.failed = error.message;
  }

  const observer = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        observer.unobserve(target);
        mount(target);
      }
    },
    { rootMargin: "600px" },
  );
  parsed.then(() => {
    for (const host of document.querySelectorAll(".course-figure")) {
      hosts.add(host);
      observer.observe(host);
    }
  });
  addEventListener("beforeprint", () => [...hosts].forEach(mount));
})();
