// What the clients share: the recorded lines, and waiting for an event.
import { readFileSync } from 'node:fs';

export const [url, lines] = process.argv.slice(2);

/** The 16-bit PCM of a recorded line, a second of silence included, in pieces of 100 ms. */
export function* spoken(name, rate) {
  const pcm = readFileSync(`${lines}/${name}-${rate}.pcm`);
  for (let at = 0; at < pcm.length; at += rate / 5) yield pcm.subarray(at, at + rate / 5);
}

/** Events in the order they came; `until` takes those up to the first that fits. */
export class Events {
  #events = [];
  #wake = () => {};

  push(event) {
    this.#events.push(event);
    this.#wake();
  }

  async until(fits) {
    for (let at = 0; ; at++) {
      while (at >= this.#events.length) await new Promise((resolve) => (this.#wake = resolve));
      if (fits(this.#events[at])) return this.#events.splice(0, at + 1);
    }
  }
}

/** Print what happened, for the test to judge, and end. */
export function finish(result) {
  console.log(JSON.stringify(result));
  process.exit(0);
}
