// A canvas that is as sharp as the screen, whatever size the layout gives it.

const SHARPEST = 2; // device pixels a CSS pixel, beyond which only work grows

export class Sheet {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.width = 0; // CSS pixels
    this.height = 0;
    this.ratio = 1;
    this.changes = 0; // how often it got another size, with which it is empty
    this.observer = new ResizeObserver(() => this.measure());
    this.observer.observe(canvas);
  }

  measure() {
    const { clientWidth, clientHeight } = this.canvas;
    this.ratio = Math.min(SHARPEST, devicePixelRatio || 1);
    this.width = clientWidth;
    this.height = clientHeight;
    this.canvas.width = Math.max(1, Math.round(clientWidth * this.ratio));
    this.canvas.height = Math.max(1, Math.round(clientHeight * this.ratio));
    this.changes += 1;
  }

  /** Erase it, and let coordinates be CSS pixels. */
  clean() {
    this.context.setTransform(1, 0, 0, 1, 0, 0);
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    return this.context;
  }

  close() {
    this.observer.disconnect();
  }
}
