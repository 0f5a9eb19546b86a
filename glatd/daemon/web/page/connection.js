// The one WebSocket to the daemon: it says at once when it is dead, and comes back by itself.

const FIRST_MS = 400; // before the first new try
const LONGEST_MS = 8000; // between two tries
const SILENCE_MS = 15_000; // without a word, which is a dead connection once the daemon has shown that it speaks
const OPENING_MS = 8000; // that a connection may take to open

export class Connection {
  /**
   * @param {(message: Object) => void} onMessage every JSON message
   * @param {(data: ArrayBuffer) => void} onSpectrum every binary message
   * @param {(state: string, text: string) => void} onState "connecting", "live" or "lost", and words for it
   */
  constructor(onMessage, onSpectrum, onState) {
    this.onMessage = onMessage;
    this.onSpectrum = onSpectrum;
    this.onState = onState;
    this.watched = { streams: [], labels: [] };
    this.tries = 0;
    this.heard = 0; // ms
    this.retryAt = 0;
    this.speaks = false; // whether the daemon sends a word when there is nothing to say
    addEventListener("online", () => this.now());
    addEventListener("offline", () => this.socket?.close());
    addEventListener("pageshow", () => this.now());
    document.addEventListener("visibilitychange", () => document.hidden || this.now());
    setInterval(() => this.tick(), 1000);
    this.open();
  }

  /** Ask for spectrograms of these streams, and for scores of these labels. */
  watch(streams, labels) {
    this.watched = { streams, labels };
    this.send();
  }

  send() {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ watch: this.watched }));
  }

  /** Try again without waiting, unless it is open or opening. */
  now() {
    if (!this.socket && this.retryAt) this.open();
  }

  open() {
    this.retryAt = 0;
    if (!this.tries) this.onState("connecting", "connecting");
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/live`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.heard = performance.now();
    this.opened = false;
    socket.onopen = () => {
      this.opened = true;
      this.heard = performance.now();
      this.send();
    };
    socket.onmessage = ({ data }) => {
      this.heard = performance.now();
      if (typeof data !== "string") return this.onSpectrum(data);
      const message = JSON.parse(data);
      if (message.type === "alive") this.speaks = true;
      if (message.type === "hello") {
        this.tries = 0;
        this.onState("live", "live");
      }
      this.onMessage(message);
    };
    socket.onclose = ({ reason }) => this.lost(socket, reason);
  }

  lost(socket, reason = "") {
    if (socket !== this.socket) return;
    this.socket = null;
    socket.onmessage = socket.onclose = socket.onopen = null;
    socket.close();
    // Not all viewers of a daemon that was started again come at one moment.
    const wait = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.tries) * (0.75 + 0.5 * Math.random());
    this.tries += 1;
    this.retryAt = performance.now() + wait;
    this.reason = reason;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.retryAt && this.open(), wait);
    this.tell();
  }

  tell() {
    const left = Math.max(1, Math.round((this.retryAt - performance.now()) / 1000));
    const why = this.reason ? `: ${this.reason}` : "";
    this.onState("lost", `connection lost${why}; trying again in ${left} s`);
  }

  tick() {
    const quiet = performance.now() - this.heard;
    if (this.socket && quiet > (this.opened ? (this.speaks ? SILENCE_MS : 4 * SILENCE_MS) : OPENING_MS)) {
      this.lost(this.socket);
    } else if (!this.socket && this.retryAt) {
      this.tell();
    }
  }
}
